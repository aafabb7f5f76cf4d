"""Reading files that anyone may have made, with every header checked before anything is loaded.

These modules run in the child process of `dvae_core.data.files`, whose memory is limited. Hence
they import neither torch nor the rest of the package, only limits and errors.
"""
