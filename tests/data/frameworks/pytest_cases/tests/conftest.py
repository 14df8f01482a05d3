import pytest
@pytest.fixture
def broken(): raise RuntimeError("no fixture")
@pytest.fixture
def teardown():
    print("setting up"); yield
    raise ValueError("teardown broke")
