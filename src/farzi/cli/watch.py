"""`farzi watch`: the page of a running job, live."""

import click

from farzi.cli.output import say


@click.command(short_help="Show a running job in a browser, live.")
@click.argument("folder", metavar="RUN")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="of the page [one that is free]"
)
def watch(folder: str, port: int) -> None:
    """Serve the page of RUN, the folder of a farzi distill or a farzi compare that is at work.

    The page is for browsers on this machine alone, and follows the run by itself. When the run has ended it
    becomes the report. Ctrl-C ends the watching, not the run.
    """
    from farzi.report.live import Live
    from farzi.report.watch import Watch

    live = Live(folder)
    live.check()
    with Watch(live, port) as server:
        say(f"{server.url} shows {folder}; Ctrl-C ends the watching, not the run.")
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            say("", err=True)
