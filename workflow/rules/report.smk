# Everything -> executed notebooks, and one page with its tables and figures.


rule run_notebook:
    input:
        notebook="notebooks/{number}_{chapter}.ipynb",
        made=shown_by_notebook,
    output:
        manifest="<results>/report/notebooks/{number}_{chapter}.manifest.json",
        notebook="<results>/report/notebooks/{number}_{chapter}.ipynb",
        page="<results>/report/notebooks/{number}_{chapter}.html",
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


rule write_report:
    input:
        notebooks=expand("<results>/report/notebooks/{name}.ipynb", name=notebook_names()),
        made=made_by(PHASES[:-1]),
    output:
        manifest="<results>/report/report.manifest.json",
        page=report(
            "<results>/report/report.html",
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


rule report:
    input:
        rules.write_report.output.manifest,
