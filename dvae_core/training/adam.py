"""Adam without the machinery of torch.compile."""

import inspect

import torch


class EagerAdam(torch.optim.Adam):
    """`torch.optim.Adam`, to the bit, whose steps are never compiled.

    PyTorch's own imports `torch._dynamo` when it is built, which takes about three seconds at the
    start of each training. Its methods only use it to keep themselves out of a compiled graph, so
    the methods beneath these decorators do the same work.
    """

    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))
    zero_grad = inspect.unwrap(torch.optim.Adam.zero_grad)
    add_param_group = inspect.unwrap(torch.optim.Adam.add_param_group)
    state_dict = inspect.unwrap(torch.optim.Adam.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Adam.load_state_dict)
