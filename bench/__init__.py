"""Benchmarks: each folder is one, run by `python -m bench.NAME --help`.

    bench           time and memory of guided steps (bench/cost)
    bench.quality   published methods and ours at one budget; `bench.quality.tune` searches settings
    bench.guides    whether every guide does what it is asked
    bench.editing   objects moved, resized and swapped
    bench.few_steps labels, place and sentence in 4 and 8 steps of a distilled model
    bench.transfer  one strength for every sampler and number of steps, in a real ComfyUI
    bench.truth     distance to exact samples of known posteriors
    bench.widgets   how fluently the browser draws the pack's widgets

`records` keeps finished batches in bench/results, `command` is the shared command line, `markdown`
writes tables.
"""
