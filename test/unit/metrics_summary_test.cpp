#include "records/duration_sketch.hpp"
#include "records/summary.hpp"
#include "support/sweep.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace autoexec;

namespace {

struct Sample {
    std::string id;
    std::string agent;
    ExecutionStatus status = ExecutionStatus::completed;
    int retry_count = 0;
};

MetricsSummary summary_of(const std::vector<Sample>& newest_first,
                          MetricsGrouping grouping = MetricsGrouping::none)
{
    records::SummaryBuilder builder(grouping);
    for (const auto& sample : newest_first) {
        protocol::MetricLine line;
        line.execution_id = sample.id;
        line.agent = sample.agent;
        line.status = sample.status;
        line.retry_count = sample.retry_count;
        line.duration_ms = 100;
        builder.add(line, "2026-01-20");
    }
    return builder.summary();
}

/// The same, with all lines in memory.
void check_totals(const MetricsTotals& totals, const std::vector<Sample>& samples,
                  const std::string& agent = {})
{
    std::map<std::string, Sample> last;
    std::set<std::pair<std::string, int>> attempts;
    std::size_t counted = 0;
    for (const auto& sample : samples) {
        if (!attempts.emplace(sample.id, sample.retry_count).second) continue;
        counted += agent.empty() || sample.agent == agent ? 1 : 0;
        const auto [known, is_new] = last.try_emplace(sample.id, sample);
        if (!is_new && sample.retry_count > known->second.retry_count) known->second = sample;
    }
    if (!agent.empty())
        std::erase_if(last, [&](const auto& item) { return item.second.agent != agent; });
    std::map<ExecutionStatus, std::uint64_t> by_status;
    std::uint64_t retries = 0;
    for (const auto& [id, sample] : last) {
        ++by_status[sample.status];
        retries += static_cast<std::uint64_t>(sample.retry_count);
    }
    CHECK(totals.total_attempts == counted);
    CHECK(totals.total_executions == last.size());
    CHECK(totals.by_status == by_status);
    CHECK(totals.total_retries == retries);
}

}  // namespace

TEST_SUITE_BEGIN("metrics_summary");

TEST_CASE("a summary of random attempts equals the one of all lines in memory" *
          doctest::test_suite("sweep"))
{
    for (unsigned round = 0; round < test::sweep_rounds(200, 10'000); ++round) {
        const auto seed = test::sweep_seed() + round;
        CAPTURE(seed);
        std::mt19937 random(seed);
        const auto below = [&random](unsigned n) { return static_cast<int>(random() % n); };
        std::vector<Sample> samples;
        for (int i = 0; i < 60; ++i)
            samples.push_back({"e" + std::to_string(below(20)), "agent" + std::to_string(below(3)),
                               static_cast<ExecutionStatus>(below(3)), below(4)});
        // What is repeated is the same.
        std::map<std::pair<std::string, int>, Sample> first;
        for (auto& sample : samples)
            sample = first.try_emplace({sample.id, sample.retry_count}, sample).first->second;
        const auto summary = summary_of(samples, MetricsGrouping::agent);
        check_totals(summary, samples);
        for (const auto& [agent, totals] : summary.groups) check_totals(totals, samples, agent);
    }
}

TEST_CASE("attempts of an execution that lie far apart count as one execution")
{
    std::vector<Sample> samples{{"long", "", ExecutionStatus::completed, 2}};
    for (int i = 0; i < 400'000; ++i) samples.push_back({std::to_string(i), "", {}, 0});
    samples.push_back({"long", "", ExecutionStatus::failed, 1});
    samples.push_back({"long", "", ExecutionStatus::failed, 0});
    const auto summary = summary_of(samples);
    CHECK(summary.total_executions == 400'001);
    CHECK(summary.total_attempts == 400'003);
    CHECK(summary.total_retries == 2);
}

TEST_CASE("an execution of many attempts is counted once")
{
    std::vector<Sample> samples;
    for (int i = 200; i >= 0; --i)
        for (int repeat = 0; repeat < 2; ++repeat)
            samples.push_back({"e", "", ExecutionStatus::failed, i});
    const auto summary = summary_of(samples);
    CHECK(summary.total_executions == 1);
    CHECK(summary.total_attempts == 201);
    CHECK(summary.total_retries == 200);
}

TEST_CASE("groups beyond the limit count together")
{
    std::vector<Sample> samples;
    for (int i = 0; i < 1'500; ++i)
        samples.push_back({std::to_string(i), "agent" + std::to_string(i), {}, 0});
    const auto summary = summary_of(samples, MetricsGrouping::agent);
    CHECK(summary.groups.size() == 1'000);
    CHECK(summary.groups.at("(other)").total_executions == 501);
    CHECK(summary.total_executions == 1'500);
}

TEST_CASE("models without a cost beyond the limit count together")
{
    records::SummaryBuilder builder(MetricsGrouping::none);
    Usage usage;
    usage.input_tokens = 1;
    for (int i = 0; i < 1'500; ++i) {
        const auto id = std::to_string(i);
        protocol::MetricLine line;
        line.execution_id = id;
        line.model = id;
        line.usage = &usage;
        builder.add(line, "2026-01-20");
    }
    const auto by_model = builder.summary().usage_without_cost;
    CHECK(by_model.size() == 1'000);
    CHECK(by_model.at("998").input_tokens == 1);
    CHECK(by_model.at("(other)").input_tokens == 501);
}

TEST_CASE("the name of a workflow is its run's id without the time")
{
    CHECK(records::workflow_of_run("build-all-20260120-100000-000001") == "build-all");
    CHECK(records::workflow_of_run("build-all") == "build-all");
    CHECK(records::workflow_of_run("-20260120-100000-000001") == "-20260120-100000-000001");
    CHECK(records::workflow_of_run("b-2026012x-100000-000001") == "b-2026012x-100000-000001");
    CHECK(records::workflow_of_run("").empty());
}

TEST_CASE("quantiles are within 1 % of exact ones" * doctest::test_suite("sweep"))
{
    for (unsigned round = 0; round < test::sweep_rounds(20, 1'000); ++round) {
        const auto seed = test::sweep_seed() + round;
        CAPTURE(seed);
        std::mt19937 random(seed);
        std::lognormal_distribution<double> durations(5, 3);
        records::DurationSketch sketch;
        std::vector<double> all;
        for (unsigned i = 0; i < 1 + seed * 37 % 2'000; ++i) {
            all.push_back(i % 10 == 9 ? 0 : durations(random));
            sketch.add(all.back());
        }
        std::sort(all.begin(), all.end());
        for (const double q : {0.0, 0.01, 0.5, 0.9, 0.99, 1.0}) {
            const auto rank = static_cast<std::size_t>(
                std::max(std::ceil(q * static_cast<double>(all.size())) - 1, 0.0));
            const auto exact = all[rank];
            CAPTURE(q);
            CHECK(std::abs(sketch.quantile(q) - exact) <= 0.0101 * exact);
        }
    }
}

TEST_CASE("quantiles of nothing, and of what is no number, are zero")
{
    records::DurationSketch sketch;
    CHECK(sketch.quantile(0.5) == 0);
    sketch.add(std::nan(""));
    sketch.add(-1);
    CHECK(sketch.quantile(1) == 0);
    sketch.add(INFINITY);
    CHECK(sketch.quantile(1) > 1e14);
}
