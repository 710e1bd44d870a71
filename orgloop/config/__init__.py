"""
From what the operator wrote to frozen values: every fault, all at once, each with its place.

    project      load_project, examine_project: the front door           report, codes   what is wrong, for people
    module       ModuleConfig and read_module: the library face          supervision     how children are kept alive
    plan         what a change would do                                   schema          JSON Schema for editors
    dump         values back to plain data                               masking         secrets out of texts

    on the way   reading, cache, document, _files               files, once each, behind walls, with places
                 _compose, _scalars, _flaws                     YAML
                 gather, workspace, layers, manifest            many files, one mapping
                 environment, filling                           ${VAR}
                 catalogue, offers, declared                    what plug-ins say of their options
                 attached, prompt                               prompts and scripts
                 _codec, _plain, _units, _module_faults         plain data to values; names that lead nowhere
"""

from orgloop.config._codec import structure
from orgloop.config._units import duration_s, rate_per_s, size_bytes

__all__ = ["duration_s", "rate_per_s", "size_bytes", "structure"]
