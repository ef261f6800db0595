#include "support/sweep.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string_view>

namespace autoexec::test {

namespace {

unsigned number_from(const char* variable, unsigned otherwise)
{
    const char* const text = std::getenv(variable);
    return text != nullptr ? static_cast<unsigned>(std::strtoul(text, nullptr, 10)) : otherwise;
}

}  // namespace

bool is_long_form()
{
    return number_from("AUTOEXEC_TEST_LONG", 0) != 0;
}

unsigned sweep_rounds(unsigned ordinary, unsigned long_form)
{
    const auto rounds = number_from("AUTOEXEC_TEST_ROUNDS", is_long_form() ? long_form : ordinary);
    return std::max(rounds, 1U);
}

unsigned sweep_seed()
{
    const char* const wanted = std::getenv("AUTOEXEC_TEST_SEED");
    const auto seed = wanted != nullptr && std::string_view(wanted) == "random"
                          ? std::random_device{}()
                          : number_from("AUTOEXEC_TEST_SEED", 1);
    MESSAGE("AUTOEXEC_TEST_SEED=", seed);
    return seed;
}

}  // namespace autoexec::test
