# A study that changes one thing at a time: the recipe and each change with each seed are studies of the same run.
for part in PARTS:
    prefix = f"{part}_"

    module:
        name: part
        snakefile:
            "../Snakefile"
        config:
            PARTS[part]

    use rule * from part as prefix*
