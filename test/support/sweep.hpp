#pragma once

/// Tests in the suite `sweep` repeat something with many inputs, the same each time. Their long
/// form is for `./dev check`:
///
///     AUTOEXEC_TEST_LONG=1    the long form
///     AUTOEXEC_TEST_SEED=n    begin with this seed instead of 1; `random`: with any. It is
///     printed. AUTOEXEC_TEST_ROUNDS=n  this many rounds
namespace autoexec::test {

bool is_long_form();
unsigned sweep_rounds(unsigned ordinary, unsigned long_form);
unsigned sweep_seed();

}  // namespace autoexec::test
