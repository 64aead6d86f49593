// Generated from the server's types by `python -m pyama_core.app.client_types`; do not edit.

import type { Pixels, Table } from "./binary.js";

/** A fluorescence frame, with what is set. */
export interface AskBackground {
  z?: string;
  axes?: string;
  sizes?: string;
  pattern?: string;
  outside?: boolean;
  numbering?: string;
  at: string;
  out?: string;
  draft: Draft;
  page: string;
  fov: number;
  t: number;
  channel: number;
}

/** A correction of a cell. */
export interface AskCorrection {
  at: string;
  fov: number;
  action: "good" | "bad" | "join" | "cut" | "remove" | "parent";
  cell: number;
  other?: number | null;
  frame?: number | null;
  frames?: string | null;
  note?: string;
}

/** How a value changes in samples, or (`fovs`) in some fields of view taken together. */
export interface AskCourses {
  at: string;
  column: string;
  time?: "time_h" | "time_min" | "frame";
  good?: boolean;
  fovs?: readonly number[];
}

/** The demos that there are. */
export interface AskDemos {
}

/** A folder; empty for where to begin. */
export interface AskFolder {
  at?: string;
}

/** A field of view. */
export interface AskFov {
  at: string;
  fov: number;
}

/** Some fields of view. */
export interface AskFovs {
  at: string;
  fovs: readonly number[];
}

/** A frame of a layer. */
export interface AskFrame {
  at: string;
  fov: number;
  kind: "phase" | "raw" | "corrected" | "labels";
  channel?: string;
  t: number;
  level?: number;
}

/** Nothing: all that there are. */
export interface AskMethods {
}

/** A frame, with what is set. */
export interface AskOutlines {
  z?: string;
  axes?: string;
  sizes?: string;
  pattern?: string;
  outside?: boolean;
  numbering?: string;
  at: string;
  out?: string;
  draft: Draft;
  page: string;
  fov: number;
  t: number;
  in_haste?: boolean;
}

/** Paths of cells that were followed. */
export interface AskPaths {
  number: number;
}

/** Positions in words, such as 0-3,7 or B2-B6. */
export interface AskPositions {
  z?: string;
  axes?: string;
  sizes?: string;
  pattern?: string;
  outside?: boolean;
  numbering?: string;
  at: string;
  out?: string;
  words: string;
}

/** A picture that was computed. */
export interface AskReading {
  number: number;
  name: string;
  level?: number;
}

/** An output folder. */
export interface AskResults {
  at: string;
}

/** A folder of outputs, or a microscope file and the folder of its outputs. */
export interface AskRun {
  at: string;
  out?: string;
}

/** A microscope file, by itself or by the folder of its outputs. */
export interface AskSource {
  z?: string;
  axes?: string;
  sizes?: string;
  pattern?: string;
  outside?: boolean;
  numbering?: string;
  at: string;
  out?: string;
}

/** A frame of a channel, as it is in the file. */
export interface AskSourceFrame {
  z?: string;
  axes?: string;
  sizes?: string;
  pattern?: string;
  outside?: boolean;
  numbering?: string;
  at: string;
  out?: string;
  fov: number;
  channel: number;
  t: number;
  level?: number;
}

/** A channel of a position. */
export interface AskSourceRange {
  z?: string;
  axes?: string;
  sizes?: string;
  pattern?: string;
  outside?: boolean;
  numbering?: string;
  at: string;
  out?: string;
  fov: number;
  channel: number;
}

/** A frame of a position. */
export interface AskSourceThumbnail {
  z?: string;
  axes?: string;
  sizes?: string;
  pattern?: string;
  outside?: boolean;
  numbering?: string;
  at: string;
  out?: string;
  fov: number;
  channel: number;
  t?: number | null;
  size?: number;
}

/** A cell through its life. */
export interface AskStrip {
  at: string;
  fov: number;
  cell: number;
  kind: "phase" | "raw" | "corrected" | "labels";
  channel?: string;
  frames: readonly number[];
  size?: number;
}

/** A file or folder. */
export interface AskThing {
  at: string;
}

/** Traces of a field of view. */
export interface AskTraces {
  at: string;
  fov: number;
  columns?: readonly string[];
}

/** A frame, with what is set. */
export interface AskTrial {
  z?: string;
  axes?: string;
  sizes?: string;
  pattern?: string;
  outside?: boolean;
  numbering?: string;
  at: string;
  out?: string;
  draft: Draft;
  page: string;
  fov: number;
  t: number;
}

/** What to take back, or to do again: by default the last, in a field of view. */
export interface AskUndo {
  at: string;
  fov: number;
  name?: string | null;
}

/** A fluorescence frame without its background. */
export interface Background {
  number: number;
  t: number;
  raw: GreyRange;
  corrected: GreyRange;
  background: GreyRange;
  resolved: Readonly<Record<string, string>>;
  seconds: number;
}

/** An export that is to end. */
export interface CancelExport {
  number: number;
}

/** What a file or folder holds. */
export interface Card {
  words: string;
  details: readonly string[];
  states: readonly (readonly ["done" | "running" | "unfinished" | "failed" | "damaged", number])[];
}

/** The cells of a field of view, column by column; -1 stands for none. */
export interface Cells {
  cell: readonly number[];
  parent: readonly number[];
  first_frame: readonly number[];
  last_frame: readonly number[];
  n_frames: readonly number[];
  fate: readonly string[];
  good: readonly (boolean | null)[];
  reason: readonly string[];
  corrections: readonly string[];
  verdicts: readonly ChannelVerdicts[];
}

/** A channel as the file names it. */
export interface ChannelFact {
  channel: number;
  name: string;
  emission_nm: number | null;
}

/** What a channel shows, as far as a few frames tell. */
export interface ChannelLook {
  channel: number;
  low: number | null;
  high: number | null;
  kind: string;
  is_sure: boolean;
  method: string;
  reason: string;
  is_nuclear: boolean;
}

/** Whether each cell is good in a channel. */
export interface ChannelVerdicts {
  channel: string;
  good: readonly (boolean | null)[];
}

/** Channels by what they are, by number. */
export interface ChosenChannels {
  pc: number | null;
  segment: number | null;
  fl: readonly number[];
  nuclei: number | null;
}

/** A column of a table: its name, numpy name of its type, and length. */
export interface Column {
  name: string;
  dtype: string;
  length: number;
}

/** A parameter, and what may be put in its place. */
export interface Control {
  name: string;
  description: string;
  kind: "number" | "integer" | "flag" | "choice" | "text";
  takes_text: boolean;
  unit: string;
  default: unknown;
  is_required: boolean;
  auto: boolean;
  empty: boolean;
  low: number | null;
  high: number | null;
  is_low_allowed: boolean;
  step: number | null;
  choices: readonly string[];
}

/** What was corrected, undone or done again. */
export interface Corrected {
  words: readonly string[];
  cell: number | null;
}

/** Cells of a field of view as they are now, corrections applied. */
export interface Count {
  fov: number;
  n_cells: number;
  n_good: number;
  by_frame: readonly number[];
}

/** Cells of some fields of view. */
export interface Counts {
  counts: readonly Count[];
}

/** Median and quartiles over the cells of a sample. */
export interface Course {
  sample: string;
  n_cells: number;
  n_fovs: number;
  x: readonly number[];
  median: readonly number[];
  low: readonly number[];
  high: readonly number[];
}

/** Median and quartiles of samples. */
export interface Courses {
  courses: readonly Course[];
}

/** A demo, and what is in it in words. */
export interface Demo {
  kind: "adherent" | "nuclei" | "cells" | "bacteria";
  about: string;
}

/** The demos that there are. */
export interface Demos {
  demos: readonly Demo[];
}

/** What was asked for has happened. */
export interface Done {
}

/** Something that contradicts what was assumed of the cells, in one or several positions. */
export interface DoubtTold {
  text: string;
  advice: string;
  fovs: readonly number[];
  is_same: boolean;
}

/** A cell that a person should look at. */
export interface Doubted {
  cell: number;
  frame: number;
  words: string;
  other: number | null;
  is_settled: boolean;
}

/** Cells that a person should look at, those that need it most first. */
export interface Doubts {
  doubts: readonly Doubted[];
}

/** What a run is to do: `run.yaml`, with channels and fields of view by number. */
export interface Draft {
  channels: ChosenChannels;
  steps: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  fovs: readonly number[] | null;
  samples: readonly SampleOf[];
  workers: number | null;
  keep: string;
  reading: Reading;
}

/** Something in a folder. */
export interface Entry {
  name: string;
  at: string;
  kind: "folder" | "results" | "file" | "images";
  size: number;
  modified: number;
}

/** How far an export is, or how it ended. */
export interface ExportTold {
  kind: "export";
  number: number;
  at: string;
  form: string;
  path: string;
  state: "running" | "done" | "failed" | "cancelled";
  done: number;
  total: number;
  words: string;
}

/** Something that is known of a file. */
export interface Fact {
  name: string;
  words: string;
}

/** Why something could not be answered. */
export interface Failure {
  error: string;
}

/** A folder below a root. */
export interface Folder {
  at: string;
  parents: readonly string[];
  entries: readonly Entry[];
  n_left_out: number;
  is_images: boolean;
}

/** A form that results can be exported in. */
export interface Form {
  name: string;
  people: string;
  about: string;
  kind: "file" | "folder";
  lacks: string;
  options: readonly FormOption[];
  has_features: boolean;
  path: string;
  is_there: boolean;
}

/** Something that can be asked of a form. */
export interface FormOption {
  name: string;
  choices: readonly string[];
  usual: string;
}

/** All forms, and how exports of these results are. */
export interface Forms {
  forms: readonly Form[];
  features: readonly string[];
  exports: readonly ExportTold[];
}

/** What can be looked at of a field of view. */
export interface Fov {
  fov: number;
  title: string;
  n_frames: number;
  height: number;
  width: number;
  pixel_size_um: number | null;
  times_min: readonly (number | null)[];
  missing_frames: readonly number[];
  layers: readonly Layer[];
  has_labels: boolean;
  columns: readonly string[];
  missing: readonly string[];
}

/** How far work on a field of view is. */
export interface FovAt {
  fov: number;
  name: string;
  state: "done" | "older" | "failed" | "running" | "waiting" | "unfinished" | "damaged";
  step: string;
  done: number;
  total: number;
  steps_done: number;
  n_steps: number;
  error: string;
  doubts: readonly string[];
  lacks: string;
}

/** A field of view as the file describes it. */
export interface FovFact {
  fov: number;
  name: string;
  n_frames: number;
  height: number;
  width: number;
  well: readonly [number, number] | null;
}

/** A field of view in the list of all. */
export interface FovRow {
  fov: number;
  name: string;
  sample: string;
  state: "done" | "running" | "unfinished" | "failed" | "damaged";
  n_cells: number | null;
  n_good: number | null;
  trouble: number;
  words: string;
  contradictions: readonly string[];
}

/** Grey values that are shown from black to full. */
export interface GreyRange {
  low: number;
  high: number;
}

/** The last run that has ended, as it noted itself. */
export interface LastRun {
  started: number;
  ended: number;
  command: string;
  host: string;
  counts: Readonly<Record<string, number>>;
}

/** A stack that can be shown. */
export interface Layer {
  kind: "phase" | "raw" | "corrected" | "labels";
  channel: string;
  dtype: string;
  low: number;
  high: number;
  emission_nm: number | null;
}

/** The last lines of the logs. */
export interface LogLines {
  lines: readonly string[];
}

/** What the channels show, and what each is taken for. */
export interface Look {
  channels: readonly ChannelLook[];
  pc: number | null;
  segment: number | null;
  fl: readonly number[];
  warnings: readonly string[];
}

/** Something was made. */
export interface Made {
  at: string;
}

/** Write a demo into a folder. */
export interface MakeDemo {
  at: string;
  kind?: "adherent" | "nuclei" | "cells" | "bacteria";
}

/** A method of a step, and its parameters. */
export interface Method {
  name: string;
  description: string;
  controls: readonly Control[];
  problem: string;
}

/** The methods that there are, by step. */
export interface Methods {
  segmentation: readonly Method[];
  correction: readonly Method[];
  tracking: readonly Method[];
  usual: Readonly<Record<string, string>>;
}

/** So much happened that some of it was not told: look at everything anew. */
export interface Missed {
  kind: "missed";
}

/** What was found in a frame. */
export interface Outlines {
  number: number;
  t: number;
  count: number;
  edges: readonly number[];
  counts: readonly number[];
  median_diameter: number | null;
  method: string;
  kind: string;
  is_sure: boolean;
  reason: string;
  cell_diameter: number | null;
  is_rough: boolean;
  found_cells: boolean;
  pixel_size_um: number | null;
  seconds: number;
}

/** What an output folder holds. */
export interface Overview {
  at: string;
  title: string;
  source: string;
  n_frames: number;
  pixel_size_um: number | null;
  channels: readonly string[];
  samples: readonly SampleRow[];
  samples_problem: string;
  fovs: readonly FovRow[];
}

/** Positions by number. */
export interface Positions {
  fovs: readonly number[];
}

/** How a file is read, where it does not say itself; empty texts for as it says. */
export interface Reading {
  z: string;
  axes: string;
  sizes: string;
  pattern: string;
  outside: boolean;
  numbering: string;
}

/** Something in an output folder is not as it was. */
export interface ResultsChanged {
  kind: "results";
  at: string;
  fovs: readonly number[];
  corrections: boolean;
  corrected: readonly number[];
  samples: boolean;
}

/** How the runs into an output folder are. */
export interface RunAt {
  out: string;
  state: "none" | "starting" | "running" | "stopping" | "finishing" | "refused" | "unfinished" | "failed" | "older" | "done";
  by: readonly RunBy[];
  done: number;
  total: number;
  frames_per_s: number | null;
  seconds_left: number | null;
  seconds: number | null;
  counts: Readonly<Record<string, number>>;
  fovs: readonly FovAt[];
  doubts: readonly DoubtTold[];
  said: string;
  last: LastRun | null;
  has_report: boolean;
  has_log: boolean;
}

/** A process that works on fields of view now. */
export interface RunBy {
  host: string;
  pid: number;
  since: string;
  n_fovs: number;
  silent_minutes: number;
}

/** A run into an output folder went on, began or ended: ask how it is. */
export interface RunMoved {
  kind: "run";
  at: string;
}

/** A condition, and the fields of view that belong to it. */
export interface SampleOf {
  sample: string;
  fovs: readonly number[];
}

/** A condition, and its fields of view. */
export interface SampleRow {
  sample: string;
  place: number;
  fovs: readonly number[];
}

/** What a run is to do. */
export interface SaveDraft {
  z?: string;
  axes?: string;
  sizes?: string;
  pattern?: string;
  outside?: boolean;
  numbering?: string;
  at: string;
  out?: string;
  draft: Draft;
}

/** A configuration was written. */
export interface Saved {
  path: string;
  out: string;
  bytes: number;
  free_bytes: number;
}

/** What a file holds, without a look at its pixels. */
export interface SourceFacts {
  file: string;
  out: string;
  title: string;
  words: string;
  facts: readonly Fact[];
  warnings: readonly string[];
  refusal: string;
  channels: readonly ChannelFact[];
  fovs: readonly FovFact[];
  n_frames: number;
  has_times: boolean;
  n_z: number;
  pixel_size_um: number | null;
}

/** A correction, and how it stands. */
export interface Standing {
  name: string;
  words: string;
  cells: readonly number[];
  by: string;
  at: string;
  stands: "applied" | "undone" | "stale";
  reason: string;
}

/** The corrections of a field of view, in their order. */
export interface Standings {
  edits: readonly Standing[];
}

/** A part of the results, and the form that it is wanted in. */
export interface StartExport {
  at: string;
  form: string;
  path?: string;
  fovs?: readonly number[];
  samples?: readonly string[];
  good_only?: boolean;
  overwrite?: boolean;
  options?: Readonly<Record<string, string>>;
  features?: readonly string[];
}

/** What to begin: all that is set up, as far as it is not done, or what failed alone. */
export interface StartRun {
  at: string;
  out?: string;
  which?: "all" | "failed";
}

/** A process was begun. */
export interface Started {
  pid: number;
  out: string;
}

/** What a run is to do, as it was saved or as it is proposed. */
export interface StoredDraft {
  draft: Draft;
  origin: string;
  is_saved: boolean;
  problem: string;
}

/** What a table in bytes begins with. */
export interface TableHeader {
  columns: readonly Column[];
}

/** Cells that were followed through some frames. */
export interface Tracks {
  number: number;
  frames: readonly number[];
  fates: Readonly<Record<string, number>>;
  seconds: number;
}

/** What a correction would come to. */
export interface Tried {
  refused: string;
  words: string;
}

/** What became of a question for a correction. */
export interface TriedBackground {
  found: Background | null;
  problem: string;
}

/** What became of a question for outlines. */
export interface TriedOutlines {
  found: Outlines | null;
  problem: string;
}

/** What became of a question for tracks. */
export interface TriedTracks {
  found: Tracks | null;
  problem: string;
}

export type Event = ResultsChanged | ExportTold | RunMoved | Missed;

export interface Reads {
  "/api/folder": { asks: AskFolder; answers: Folder };
  "/api/card": { asks: AskThing; answers: Card };
  "/api/thumbnail": { asks: AskThing; answers: Pixels };
  "/api/demos": { asks: AskDemos; answers: Demos };
  "/api/source": { asks: AskSource; answers: SourceFacts };
  "/api/source/look": { asks: AskSource; answers: Look };
  "/api/source/thumbnail": { asks: AskSourceThumbnail; answers: Pixels };
  "/api/source/positions": { asks: AskPositions; answers: Positions };
  "/api/draft": { asks: AskSource; answers: StoredDraft };
  "/api/source/frame": { asks: AskSourceFrame; answers: Pixels };
  "/api/source/range": { asks: AskSourceRange; answers: GreyRange };
  "/api/tune/methods": { asks: AskMethods; answers: Methods };
  "/api/tune/reading": { asks: AskReading; answers: Pixels };
  "/api/tune/paths": { asks: AskPaths; answers: Table };
  "/api/run": { asks: AskRun; answers: RunAt };
  "/api/run/log": { asks: AskRun; answers: LogLines };
  "/api/report": { asks: AskRun; answers: Blob };
  "/api/overview": { asks: AskResults; answers: Overview };
  "/api/fov": { asks: AskFov; answers: Fov };
  "/api/frame": { asks: AskFrame; answers: Pixels };
  "/api/cells": { asks: AskFov; answers: Cells };
  "/api/traces": { asks: AskTraces; answers: Table };
  "/api/counts": { asks: AskFovs; answers: Counts };
  "/api/courses": { asks: AskCourses; answers: Courses };
  "/api/strip": { asks: AskStrip; answers: Table };
  "/api/preview": { asks: AskCorrection; answers: Tried };
  "/api/edits": { asks: AskFov; answers: Standings };
  "/api/doubts": { asks: AskFov; answers: Doubts };
  "/api/forms": { asks: AskResults; answers: Forms };
}

export interface Changes {
  "/api/demo": { asks: MakeDemo; answers: Made };
  "/api/draft/save": { asks: SaveDraft; answers: Saved };
  "/api/tune/outlines": { asks: AskOutlines; answers: TriedOutlines };
  "/api/tune/background": { asks: AskBackground; answers: TriedBackground };
  "/api/tune/tracks": { asks: AskTrial; answers: TriedTracks };
  "/api/run/start": { asks: StartRun; answers: Started };
  "/api/run/stop": { asks: AskRun; answers: Done };
  "/api/correct": { asks: AskCorrection; answers: Corrected };
  "/api/undo": { asks: AskUndo; answers: Corrected };
  "/api/redo": { asks: AskUndo; answers: Corrected };
  "/api/export": { asks: StartExport; answers: ExportTold };
  "/api/export/cancel": { asks: CancelExport; answers: Done };
}
