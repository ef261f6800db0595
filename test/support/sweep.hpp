#pragma once

/// Tests in the suite `sweep` repeat something with many inputs. Their ordinary form is short and
/// the same each time. The long form is for `./dev check` and random:
///
///     AUTOEXEC_TEST_LONG=1    the long form
///     AUTOEXEC_TEST_SEED=n    begin with this seed, which each of them prints
///     AUTOEXEC_TEST_ROUNDS=n  this many rounds
namespace autoexec::test {

bool is_long_form();
unsigned sweep_rounds(unsigned ordinary, unsigned long_form);
unsigned sweep_seed();

}  // namespace autoexec::test
