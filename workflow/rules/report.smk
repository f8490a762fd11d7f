# Everything -> executed notebooks, and one page with its tables and figures.


rule run_notebook:
    input:
        notebook="notebooks/{number}_{chapter}.ipynb",
        made=shown_by_notebook,
    output:
        manifest="<results>/report/notebooks/{number}_{chapter}.manifest.json",
        notebook="<results>/report/notebooks/{number}_{chapter}.ipynb",
        page=report(
            "<results>/report/notebooks/{number}_{chapter}.html",
            category="The study's notebooks",
        ),
    params:
        section=section("run-notebook"),
        code=code("run-notebook"),
        results=lambda wildcards: STUDY.results.as_posix(),
    log:
        "<logs>/run_notebook/{number}_{chapter}.log",
    benchmark:
        "<benchmarks>/run_notebook/{number}_{chapter}.tsv"
    conda:
        "../../envs/report.yaml"
    message:
        "Running the notebook {wildcards.number}_{wildcards.chapter}"
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "python -m valm run-notebook --notebook {input.notebook} --results {params.results}"
        " --output {output.notebook}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule write_viewer:
    input:
        page=expand("src/valm/serve/page/viewer.{kind}", kind=["html", "css", "js"]),
        models=expand(
            rules.train_model.output.manifest,
            model=shown_models(),
            seed=STUDY.train.seeds[0],
        ),
        models_data=ancient(
            expand(
                rules.train_model.output.data,
                model=shown_models(),
                seed=STUDY.train.seeds[0],
            )
        ),
        encoder=rules.make_encoder.output.manifest,
        tokenizer=rules.train_tokenizer.output.manifest,
        tokenizer_data=ancient(rules.train_tokenizer.output.data),
        pictures=rules.list_pictures.output.manifest,
        pictures_data=ancient(rules.list_pictures.output.data),
        vectors=rules.embed_pictures.output.manifest,
        vectors_data=ancient(rules.embed_pictures.output.data),
        index=searched_index(rules.build_index.output.manifest, SHOWN_PRESET),
        index_data=ancient(searched_index(rules.build_index.output.data, SHOWN_PRESET)),
    output:
        manifest="<results>/report/viewer.manifest.json",
        page=report(
            "<results>/report/viewer.html",
            caption="../report/viewer.rst",
            category="The study's report",
        ),
    params:
        section=section("write-viewer", preset=SHOWN_PRESET),
        code=code("write-viewer"),
        preset=SHOWN_PRESET,
        models=each("--models", "models"),
    log:
        "<logs>/write_viewer.log",
    benchmark:
        "<benchmarks>/write_viewer.tsv"
    conda:
        "../../envs/evaluate.yaml"
    message:
        "Recording what the viewer shows for the study's prompts"
    threads: 1
    resources:
        mem_mb=3000,
    shell:
        "python -m valm write-viewer {params.models} --encoder {input.encoder}"
        " --parents {input.tokenizer} --parents {input.pictures} --parents {input.vectors}"
        " --parents {input.index} --preset {params.preset} --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule write_report:
    input:
        viewer=rules.write_viewer.output.manifest,
        notebooks=expand("<results>/report/notebooks/{name}.ipynb", name=notebook_names()),
        made=made_by(PHASES[:-1]),
    output:
        manifest="<results>/report/report.manifest.json",
        page=report(
            "<results>/report/index.html",
            caption="../report/page.rst",
            category="The study's report",
        ),
    params:
        section=section("write-report"),
        code=code("write-report"),
        results=lambda wildcards: STUDY.results.as_posix(),
        notebooks=each("--notebooks", "notebooks"),
    log:
        "<logs>/write_report.log",
    benchmark:
        "<benchmarks>/write_report.tsv"
    conda:
        "../../envs/report.yaml"
    message:
        "Writing the report"
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "python -m valm write-report --results {params.results} {params.notebooks}"
        " --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule write_changes:
    input:
        scores=rules.score_changes.output.manifest,
        scores_data=ancient(rules.score_changes.output.data),
        settings=changes_of(STUDY),
    output:
        manifest="<results>/report/changes.manifest.json",
        page=report(
            "<results>/report/changes.html",
            caption="../report/changes.rst",
            category="The study's report",
        ),
        data=multiext("<results>/report/changes", ".csv", ".tex", ".svg"),
    params:
        section=section("write-changes"),
        code=code("write-changes"),
        settings=each("--settings", "settings"),
    log:
        "<logs>/write_changes.log",
    benchmark:
        "<benchmarks>/write_changes.tsv"
    conda:
        "../../envs/report.yaml"
    message:
        "Writing the table and the figure of the changes"
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "python -m valm write-changes --scores {input.scores} {params.settings}"
        " --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule report:
    input:
        rules.write_report.output.manifest,
