"""Where templates of reports run: Jinja's sandbox, in which they read results and call only what
neither writes a file nor runs code."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from types import BuiltinMethodType, FunctionType, MethodType, ModuleType
from typing import Any

from jinja2.sandbox import ImmutableSandboxedEnvironment

#: Plain values, whose methods a template may call.
PLAIN = (str, bytes, bool, int, float, complex, tuple, list, dict, set, frozenset, date)
#: The libraries of tables and arrays, and their methods that a template may call.
TABLES = ("numpy", "pandas", "xarray")
OF_TABLES = (
    *("all", "any", "count", "max", "mean", "median", "min", "nunique", "quantile", "std", "sum"),
    *("describe", "drop", "drop_duplicates", "dropna", "fillna", "groupby", "head", "idxmax"),
    *("idxmin", "isin", "isna", "item", "items", "iterrows", "itertuples", "keys", "nlargest"),
    *("notna", "nsmallest", "rename", "reset_index", "round", "set_index", "sort_index"),
    *("sort_values", "tail", "to_dict", "tolist", "transpose", "unique", "value_counts"),
)
#: Methods of the package's own results that write.
WRITES = ("save",)


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, with a list of what may be called: Jinja allows every call that is not
    marked as unsafe, and no method of a table or a path is.
    """

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Nothing private, nothing that changes a value, and no module."""
        return not isinstance(value, ModuleType) and super().is_safe_attribute(obj, attr, value)

    def is_safe_callable(self, obj: Any) -> bool:
        """Jinja's own functions; the page's sentences and tables; methods of plain values; methods
        of results that do not write; and those of tables that `OF_TABLES` has.
        """
        name = getattr(obj, "__name__", "")
        if isinstance(obj, MethodType | BuiltinMethodType) and not isinstance(
            obj.__self__, ModuleType | None
        ):
            owner = obj.__self__ if isinstance(obj.__self__, type) else type(obj.__self__)
            if issubclass(owner, PLAIN):
                return True
            if owner.__module__.startswith("bayeslaw."):
                # A method that it inherits, of pydantic say, is not the package's own.
                own = (getattr(obj, "__func__", obj).__module__ or "").startswith("bayeslaw.")
                return own and name not in WRITES
            library = owner.__module__.partition(".")[0]
            return library == "jinja2" or (library in TABLES and name in OF_TABLES)
        if obj is dict or getattr(obj, "of_text", False):
            return True
        module = getattr(obj, "__module__", None) or ""
        if isinstance(obj, FunctionType):
            return module.startswith(("bayeslaw.study.report.", "bayeslaw.text", "jinja2."))
        return type(obj).__module__.startswith("jinja2.") or module.startswith("jinja2.")

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """``format`` of a text, which reads only what a template may."""
        wrapped = super().wrap_str_format(value)
        if wrapped is not None:
            wrapped.of_text = True  # type: ignore[attr-defined]
        return wrapped
