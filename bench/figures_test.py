#!/usr/bin/env python3
"""Tests of how figures become ratios, verdicts and tables."""

import json
import sys
import unittest

sys.dont_write_bytecode = True

from figures import (Row, as_json, as_text, calls_per_command, count_calls,
                     measure_in_turn, per_command, ratios, sentence, short)

MACHINE = {"cpu": "One", "processors": 2, "kernel": "6.1", "file_system": "tmpfs", "load": 0.25,
           "others": 0.01, "idle": True, "seconds": 12.0, "date": "2026-01-02"}

SUMMARY = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 40.00    0.000040           1        40           openat
 60.00    0.000060           2        30        10 unlinkat
------ ----------- ----------- --------- --------- ----------------
100.00    0.000100           1        70        10 total
"""


class Figures(unittest.TestCase):
    def test_ratios_are_of_the_same_round(self):
        ours = [{"cpu": 2.0}, {"cpu": 30.0}]
        beside = [{"cpu": 1.0}, {"cpu": 10.0}]
        self.assertEqual(ratios(ours, beside, "cpu"), [2.0, 3.0])
        with self.assertRaises(ValueError):
            ratios(ours, beside[:1], "cpu")

    def test_ways_take_turns(self):
        order = []
        ways = {name: lambda name=name: order.append(name) or {} for name in "ab"}
        samples = measure_in_turn(2, ways)
        self.assertEqual(order, ["a", "b", "a", "b"])
        self.assertEqual(samples, {"a": [{}, {}], "b": [{}, {}]})

    def test_the_median_meets_an_aim(self):
        for values, aim, verdict in [([1, 2, 9], "≤ 2", "met"), ([1, 2.1, 2.2], "≤ 2", "short of aim"),
                                     ([4, 3, 5], "≥ 4", "met"), ([3.9], "≥ 4", "short of aim"),
                                     ([2500], "≤ 2,560", "met"), ([7], "", "")]:
            self.assertEqual(Row("g", "w", values, aim=aim).verdict, verdict, (values, aim))

    def test_a_row_tells_its_spread(self):
        row = Row("g", "w", [2.0, 1.234, 1234.0], aim="≤ 2")
        self.assertEqual(row.cells(), ["w", "2 ×", "1.23 – 1,234", "≤ 2", "met"])

    def test_three_digits_count(self):
        self.assertEqual([short(value) for value in (0.01234, 1.2345, 99.94, 1234.5)],
                         ["0.0123", "1.23", "99.9", "1,234"])

    def test_costs_are_of_one_command(self):
        [sample] = per_command([{"cpu": 2.0, "wall": 4.0, "count": 8.0}])
        self.assertEqual((sample["cpu_each"], sample["rate"]), (0.25, 2.0))

    def test_calls_of_the_start_cancel_out(self):
        self.assertEqual(count_calls(SUMMARY), {"openat": 40, "unlinkat": 30})
        self.assertEqual(calls_per_command({"openat": 40, "execve": 1},
                                           {"openat": 140, "execve": 1, "read": 10}, 10),
                         {"execve": 0, "openat": 10, "read": 1})

    def test_all_forms_have_all_figures(self):
        rows = [Row("first", "w", [1.0], aim="≤ 2"), Row("second", "v", [3.0], aim="≥ 4")]
        tables = {"calls": (["call", "n"], [["openat", "3"]])}
        text = as_text(rows, tables)
        for part in ("first", "second", "met", "short of aim", "calls", "openat"):
            self.assertIn(part, text)
        read = json.loads(as_json(rows, tables, MACHINE, quick=True))
        self.assertEqual([row["verdict"] for row in read["rows"]], ["met", "short of aim"])
        self.assertEqual(read["tables"], {"calls": [{"call": "openat", "n": "3"}]})
        self.assertEqual((read["machine"], read["quick"]), (MACHINE, True))

    def test_a_busy_machine_is_mentioned(self):
        self.assertNotIn("not idle", sentence(MACHINE))
        self.assertIn("not idle: others used 40 %", sentence({**MACHINE, "idle": False, "others": 0.4}))


if __name__ == "__main__":
    unittest.main()
