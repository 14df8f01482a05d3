import unittest
class T(unittest.TestCase):
    def test_t(self): pass
