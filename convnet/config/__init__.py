"""Text to values: reads cfg files and keeps the file, line and key of every value. Knows no layer and no net.

report   the errors and notes of all files, collected and raised together
reader   the grammar: sections, keys, values
sources  a file and the files that it includes
values   `${name}` in values
writer   values and sections to text
kinds    what a value may be, and how it is written
keys     the keys a section may have, and reading them
nearest  the known word closest to an unknown one
"""
