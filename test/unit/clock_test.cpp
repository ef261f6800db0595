#include "autoexec/clock.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <ctime>

using namespace autoexec;

namespace {

Clock::time_point awake_time()
{
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return Clock::time_point(std::chrono::seconds{t.tv_sec} + std::chrono::nanoseconds{t.tv_nsec});
}

}  // namespace

TEST_CASE("the real clock does not count the time for which the machine is suspended")
{
    const auto clock = system_clock();
    const auto before = awake_time();
    const auto now = clock->now();
    CHECK(before <= now);
    CHECK(now <= awake_time());
}
