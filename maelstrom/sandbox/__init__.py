"""Rootless micro-containers: one job at a time in recycled slots.

    plan    (pure)   spec -> flat list of steps
    pool    worker   asyncio side: hands jobs to slots, replaces lost ones
    zygote  ─┐
    slot     ├ small processes, loaded without `site`; import only maelstrom.linux and steps
    stage   ─┘
    check            finds out what the host forbids, and names the remedy

This package loads nothing by itself: the slots import it too.
"""
