#include "records/budget.hpp"
#include "support/executor_fixture.hpp"
#include "support/temporary_folder.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <limits>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::system_clock::time_point noon =
    std::chrono::sys_days{std::chrono::year{2026} / 1 / 20} + 12h;
constexpr char attempts_file[] = ".tapps-agents/metrics/attempts_2026-01-20.jsonl";

Usage used(std::int64_t tokens, std::optional<double> cost)
{
    Usage usage;
    usage.input_tokens = tokens;
    usage.cost_usd = cost;
    usage.model = "m";
    return usage;
}

std::string attempt_of(std::string_view id, double cost)
{
    return fmt::format(
        R"({{"execution_id": "e", "attempt_id": "{}", "command": "c", "status": "completed", "duration_ms": 1, )"
        R"("started_at": "2026-01-20T10:00:00+00:00", "usage": {{"cost_usd": {}}}}})"
        "\n",
        id, cost);
}

struct BudgetFixture {
    records::Budget budget(BudgetConfig limits, ModelPrices prices = {}) const
    {
        return {limits, std::move(prices), records::Folder::of({}, project.path(), "metrics")};
    }

    TemporaryFolder project;
};

}  // namespace

TEST_SUITE_BEGIN("budget");

TEST_CASE_FIXTURE(BudgetFixture, "a limit of a run lets commands start until it is reached")
{
    BudgetConfig limits;
    limits.max_cost_per_run = 1;
    auto b = budget(limits);
    CHECK(b.refusal(noon).empty());
    CHECK(b.add("a", used(5, 0.75), noon).empty());
    CHECK(b.add("a", used(5, 0.75), noon).empty());  // the same once more
    CHECK(b.refusal(noon).empty());
    b.add("b", used(5, 0.25), noon);
    CHECK(b.refusal(noon) ==
          "Not started: the limit of $1.00 for this run is reached, $1.00 used. To continue, raise "
          "it: --max-cost, --max-tokens, or budget in the configuration.");
    limits.max_cost_per_run = 0;
    limits.max_tokens_per_run = 10;
    auto tokens = budget(limits);
    tokens.add_earlier({{"a", used(9, {})}});
    CHECK(tokens.refusal(noon).empty());
    tokens.add("b", used(1, {}), noon);
    CHECK_FALSE(tokens.refusal(noon).empty());
}

TEST_CASE_FIXTURE(BudgetFixture, "a limit of a day counts other processes, and ends with the day")
{
    BudgetConfig limits;
    limits.max_cost_per_day = 3;
    auto b = budget(limits);
    CHECK(b.refusal(noon).empty());
    auto lines = attempt_of("x", 1);
    project.write(attempts_file, lines + attempt_of("y", 1).substr(0, 20));
    CHECK(b.refusal(noon).empty());
    b.add("own", used(1, 0.5), noon);
    lines += attempt_of("y", 1) + attempt_of("own", 0.5);
    project.write(attempts_file, lines);
    CHECK(b.refusal(noon).empty());  // 2.50
    project.write(attempts_file, lines + "no line\n" + attempt_of("z", 0.5));
    CHECK(b.refusal(noon).starts_with(
        "Not started: the limit of $3.00 for this day (UTC) is reached, $3.00 used."));
    CHECK(b.refusal(noon + 12h).empty());
}

TEST_CASE_FIXTURE(BudgetFixture, "absurd usage does not make room")
{
    BudgetConfig limits;
    limits.max_cost_per_run = 1'000'000;
    limits.max_tokens_per_run = 1'000'000'000'000'000;
    auto b = budget(limits);
    b.add("a", used(std::numeric_limits<std::int64_t>::max(), 1e300), noon);
    CHECK_FALSE(b.refusal(noon).empty());
    b.add("b", used(std::numeric_limits<std::int64_t>::min(), -1e300), noon);
    b.add("c", used(std::numeric_limits<std::int64_t>::max(), {}), noon);
    CHECK_FALSE(b.refusal(noon).empty());
}

TEST_CASE_FIXTURE(BudgetFixture,
                  "a cost that is not known is a warning, once, unless there is a price")
{
    BudgetConfig limits;
    limits.max_cost_per_run = 1;
    auto b = budget(limits);
    CHECK(
        b.add("a", used(5, {}), noon).starts_with("The program of the model 'm' reports no cost"));
    CHECK(b.add("b", used(5, {}), noon).empty());
    CHECK(b.refusal(noon).empty());
    auto silent = budget(limits);
    CHECK(silent.add("a", {}, noon).starts_with("A program has reported no usage"));
    auto priced = budget(limits, {{"m", {1, 1, 1, 1}}});
    CHECK(priced.add("a", used(1'000'000, {}), noon).empty());
    CHECK(priced.refusal(noon).starts_with(
        "Not started: the limit of $1.00 for this run is reached, ~$1.00 used."));
    CHECK(budget({}).add("a", {}, noon).empty());
}

TEST_CASE("a command that is refused is not published, and fails with the code budget")
{
    ExecutorFixture f;
    f.options.refuse_start = [] { return "No."; };
    f.start(ExecutorFixture::request());
    f.clock->run(f.ctx);
    CHECK(f.results == 1);
    CHECK(f.result.status == ExecutionStatus::failed);
    CHECK(f.result.attempts == 0);
    REQUIRE(f.result.error);
    CHECK(f.result.error->message == "No.");
    CHECK(f.result.error->code == "budget");
}

TEST_SUITE_END();
