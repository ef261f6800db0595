#include "workflow/journal/results_file.hpp"

#include "files/safe_files.hpp"
#include "protocol/artifact_path.hpp"
#include "text/json.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace autoexec::workflow {
namespace {

using files::Links;
using files::UniqueFd;
namespace json = boost::json;

constexpr std::size_t max_results = 1024 * 1024;

UniqueFd open_in(const std::filesystem::path& worktree, const std::string& path, int flags,
                 error_code& ec)
{
    const UniqueFd folder(::open(worktree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const auto normal = protocol::artifact_path(path);
    if (folder && normal)
        return files::open_beneath(folder.get(), *normal, flags, Links::inside, ec);
    ec = folder ? make_error_code(errc::unsafe_path) : files::last_error();
    return {};
}

std::optional<std::string> read_whole(int fd, std::size_t most)
{
    std::string text;
    std::array<char, 16 * 1024> buffer{};
    for (;;) {
        const auto n = ::read(fd, buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 || text.size() > most) return std::nullopt;
        if (n == 0) return text;
        text.append(buffer.data(), static_cast<std::size_t>(n));
    }
}

const json::value* score_of(const json::object& results, std::string_view metric)
{
    for (const auto* const section : {"scoring", "scores"}) {
        const auto* const scores = results.if_contains(section);
        if (scores == nullptr || !scores->is_object()) continue;
        if (const auto* const score = scores->get_object().if_contains(metric)) return score;
    }
    return results.if_contains(metric);
}

}  // namespace

std::optional<json::object> read_results(const std::filesystem::path& worktree,
                                         const std::string& path, std::string& problem)
{
    error_code ec;
    const auto file = open_in(worktree, path, O_RDONLY, ec);
    struct stat st {};
    if (!file || ::fstat(file.get(), &st) != 0) {
        problem =
            fmt::format("'{}' cannot be read: {}", path, (ec ? ec : files::last_error()).message());
        return std::nullopt;
    }
    const auto text = S_ISREG(st.st_mode) ? read_whole(file.get(), max_results) : std::nullopt;
    if (!text) {
        problem = fmt::format("'{}' is not a file of at most {} bytes", path, max_results);
        return std::nullopt;
    }
    auto reading = text::read_json_object(*text);
    if (reading.kind == text::JsonReading::Kind::valid) return std::move(reading.object);
    problem = fmt::format("'{}' is not a JSON object: {}", path, reading.problem);
    return std::nullopt;
}

std::optional<json::value> value_at(const json::object& results,
                                    const std::vector<std::string>& path, std::string& problem)
{
    const json::object* at = &results;
    for (std::size_t k = 0; k < path.size(); ++k) {
        const auto* const value = at->if_contains(path[k]);
        if (value != nullptr && k + 1 == path.size()) return *value;
        if (value == nullptr || !value->is_object()) break;
        at = &value->get_object();
    }
    problem = fmt::format("the results have no '{}'", fmt::join(path, "."));
    return std::nullopt;
}

std::optional<bool> scoring_passed(const json::object& results, const WorkflowStep& step,
                                   std::string& problem)
{
    std::string ignored;
    const auto said = value_at(results, {"scoring", "passed"}, ignored);
    if (said && !said->is_bool()) {
        problem = "'scoring.passed' is neither true nor false";
        return std::nullopt;
    }
    if (!said && step.thresholds.empty()) {
        problem = "the results have no 'scoring.passed', and the step has no thresholds";
        return std::nullopt;
    }
    bool passed = !said || said->get_bool();
    for (const auto& [metric, least] : step.thresholds) {
        const auto* const score = score_of(results, metric);
        if (score == nullptr || !score->is_number()) {
            problem = fmt::format("the results have no number '{}', of which the threshold is {}",
                                  metric, least);
            return std::nullopt;
        }
        passed = passed && score->to_number<double>() >= least;
    }
    return passed;
}

bool is_in_worktree(const std::filesystem::path& worktree, const std::string& path)
{
    error_code ec;
    return static_cast<bool>(open_in(worktree, path, O_PATH, ec));
}

}  // namespace autoexec::workflow
