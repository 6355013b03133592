"""Which names a modality can have: each becomes a submodule's name and a part of Pyro's sites."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable

# The public attributes of torch's modules (with what transformers adds to them once it is
# imported), and the names of parts of the fusion network.
_RESERVED = """
    absent activate copy fromkeys fuse get late late_widths out_features own_loss popitem
    reads_steps seen sequences setdefault
    add_module apply bfloat16 buffers call_super_init children classifier clear compile concat cpu
    cuda double dump_patches eval extra_repr float forward fused fusion gate gates get_buffer
    get_extra_state get_parameter get_submodule half hidden id ipu items keys label labels
    load_state_dict modules mtia named_buffers named_children named_modules named_parameters names
    observed parameters pop register_backward_hook register_buffer register_forward_hook
    register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
    register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module
    register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_
    set_extra_state set_submodule share_memory smart_apply split state_dict to to_empty train
    training type update values widths xpu zero_grad
"""
RESERVED_MODALITY_NAMES = frozenset(_RESERVED.split())

_MODALITY_NAME = re.compile(r"[a-z][a-z0-9_]*")


def modality_name_problems(names: Iterable[str]) -> list[str]:
    """Return a sentence for each name that a modality cannot have.

    Example:
        >>> modality_name_problems(["text", "gate"])
        ['modality "gate": the name is reserved; choose another, such as "gate_features".']
    """
    problems = []
    for name in names:
        if not _MODALITY_NAME.fullmatch(name):
            problems.append(
                f'modality "{name}": a name is a small letter, then small letters, digits and '
                "underscores, such as text or poster_2."
            )
        elif name in RESERVED_MODALITY_NAMES or keyword.iskeyword(name):
            problems.append(
                f'modality "{name}": the name is reserved; choose another, such as '
                f'"{name}_features".'
            )
    return problems
