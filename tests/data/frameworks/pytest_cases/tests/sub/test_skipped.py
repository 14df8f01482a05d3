import pytest; pytest.skip("whole module", allow_module_level=True)
