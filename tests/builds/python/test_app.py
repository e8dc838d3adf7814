import multiprocessing
import tempfile
import unittest

import app


class AppTest(unittest.TestCase):
    def test_in_a_pool(self):  # semaphores and shared memory
        with multiprocessing.Pool(2) as pool:
            self.assertEqual(pool.map(app.double, [1, 2]), [2, 4])

    def test_temporary_files(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"x")


if __name__ == "__main__":
    unittest.main()
