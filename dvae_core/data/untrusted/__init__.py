"""Reading files that anyone may have made, with every header checked before anything is loaded.

`reader` asks; `arrays`, `meshes` and `pictures` answer in a child process of limited memory and
time (`dvae_core.system.sandbox`). So all but `reader` import neither torch nor pydantic, nor more
of this package than the sandbox and the errors.
"""
