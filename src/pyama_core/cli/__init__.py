"""The command ``pyama``: words in, words out."""
