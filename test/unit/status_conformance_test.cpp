#include "protocol/record_lines.hpp"
#include "protocol/status.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

using namespace autoexec;
using namespace autoexec::protocol;

namespace {

namespace fs = std::filesystem;

/// Files that real agents wrote, and what must be made of them; not part of this project.
const char* data_folder()
{
    const char* folder = std::getenv("AUTOEXEC_CONFORMANCE_DATA");
    if (!folder) MESSAGE("skipped: AUTOEXEC_CONFORMANCE_DATA is not set");
    return folder;
}

std::string slurp(const fs::path& path)
{
    std::ifstream in(path, std::ios::binary);
    REQUIRE_MESSAGE(in, path.string());
    return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> columns(const std::string& line)
{
    std::vector<std::string> out(1);
    for (const char c : line)
        if (c == '\t')
            out.emplace_back();
        else
            out.back() += c;
    out.resize(4);
    return out;
}

/// An incomplete file counts as pending: it is looked at again.
std::string answer(const StatusReading& reading)
{
    switch (reading.kind) {
        case StatusReading::Kind::incomplete:
            return "pending";
        case StatusReading::Kind::malformed:
            return "malformed";
        case StatusReading::Kind::valid:
            return std::string(to_string(reading.status.status));
    }
    return "?";
}

void check_error(const AgentStatus& status, const CommandError& expected)
{
    REQUIRE(status.error);
    CHECK(status.error->message == expected.message);
    CHECK(status.error->code == expected.code);
    CHECK(status.error->retryable == expected.retryable);
    CHECK(status.error->retry_count == expected.retry_count);
}

/// False if the remark is not known here: then the table has grown, and this must grow, too.
bool check_remark(const std::string& remark, const StatusReading& reading)
{
    using Kind = StatusReading::Kind;
    const auto& status = reading.status;
    const auto says = [&](const char* part) {
        CHECK_MESSAGE(reading.problem.find(part) != std::string::npos, reading.problem);
        return true;
    };
    if (remark.empty()) return true;
    if (remark == "output holds U+FFFD")
        CHECK(status.output == "\xEF\xBF\xBD");
    else if (remark == "BOM stripped" || remark == "unknown keys ignored")
        CHECK(status.warnings.empty());
    else if (remark == "duplicate key")
        return says("twice");
    else if (remark == "raw control character in a string")
        return says("raw control character");
    else if (remark == "with a hint")
        return says("UTF-16");
    else if (remark == "error message boom" || remark == "error boom")
        check_error(status, {"boom", "", {}, 0});
    else if (remark == "error boom, code E1, retryable, retry_count 2")
        check_error(status, {"boom", "E1", true, 2});
    else if (remark == "error: Unknown error")
        check_error(status, {"Unknown error", "", {}, 0});
    else if (remark == "NUL kept as data, escaped when shown")
        CHECK(status.output == std::string("a\0b", 3));
    else if (remark == "partial_results win over top level")
        CHECK((status.output == "partial" &&
               status.artifacts == std::vector<std::string>{"a.md", "b/"}));
    else if (remark == "artifacts c.md, output top")
        CHECK((status.output == "top" && status.artifacts == std::vector<std::string>{"c.md"}));
    else if (remark == "empty" || remark == "cut off in the middle")
        CHECK(reading.kind == Kind::incomplete);
    else if (remark == "cancelled; code cancelled")
        CHECK((status.error && status.error->code == "cancelled"));
    else if (remark == "read as legacy: progress ignored")
        CHECK((!status.structured && !status.progress));
    else
        return false;
    return true;
}

}  // namespace

TEST_CASE("status files of the original system and hostile ones are read as agreed")
{
    const char* folder = data_folder();
    if (!folder) return;
    std::istringstream table(slurp(fs::path(folder) / "status-expected.tsv"));
    std::string line;
    std::getline(table, line);
    REQUIRE(line == "file\toriginal\tours\tremark");
    std::size_t rows = 0;
    for (; std::getline(table, line); ++rows) {
        const auto row = columns(line);
        CAPTURE(line);
        const auto reading = parse_status(slurp(fs::path(folder) / "status" / row[0]));
        CHECK(answer(reading) == row[2]);
        CHECK(reading.problem.empty() == (row[2] != "malformed"));
        CHECK_MESSAGE(check_remark(row[3], reading), "an unknown remark");
    }
    const auto files = std::distance(fs::directory_iterator(fs::path(folder) / "status"), {});
    CHECK(rows == static_cast<std::size_t>(files));
}

TEST_CASE("metric lines of a later version are read")
{
    const char* folder = data_folder();
    if (!folder) return;
    std::size_t lines = 0;
    for (const auto& entry : fs::directory_iterator(fs::path(folder) / "metrics")) {
        std::istringstream in(slurp(entry.path()));
        for (std::string line; std::getline(in, line); ++lines) {
            CAPTURE(line);
            const auto metric = parse_metric(line);
            REQUIRE(metric);
            CHECK(metric->status == ExecutionStatus::completed);
            CHECK(metric->duration == std::chrono::milliseconds{10});
        }
    }
    CHECK(lines > 0);
}
