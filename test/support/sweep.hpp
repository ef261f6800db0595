#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <random>

/// Tests in the suite `sweep` repeat something with many inputs. Their ordinary form is short and
/// the same each time. The long form is for `./dev check` and random:
///
///     AUTOEXEC_TEST_LONG=1    the long form
///     AUTOEXEC_TEST_SEED=n    begin with this seed, which each of them prints
///     AUTOEXEC_TEST_ROUNDS=n  this many rounds
namespace autoexec::test {

inline unsigned number_from(const char* variable, unsigned otherwise)
{
    const char* const text = std::getenv(variable);
    return text != nullptr ? static_cast<unsigned>(std::strtoul(text, nullptr, 10)) : otherwise;
}

inline bool is_long_form()
{
    return number_from("AUTOEXEC_TEST_LONG", 0) != 0;
}

inline unsigned sweep_rounds(unsigned ordinary, unsigned long_form)
{
    const auto rounds = number_from("AUTOEXEC_TEST_ROUNDS", is_long_form() ? long_form : ordinary);
    return std::max(rounds, 1U);
}

inline unsigned sweep_seed()
{
    const auto seed =
        number_from("AUTOEXEC_TEST_SEED", is_long_form() ? std::random_device{}() : 1);
    MESSAGE("AUTOEXEC_TEST_SEED=", seed);
    return seed;
}

}  // namespace autoexec::test
