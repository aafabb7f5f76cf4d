"""Reading files of unknown origin: every header is checked before its content is loaded.

`reader` sends requests to `arrays`, `meshes` and `pictures`, which run in a child process of
limited memory and time (`dvae_core.system.sandbox`). All modules except `reader` therefore import
neither torch nor pydantic, and only the sandbox and the errors of this package.
"""
