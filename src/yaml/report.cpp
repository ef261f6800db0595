#include "yaml/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace autoexec::yaml {
namespace {

constexpr std::size_t max_diagnostics = 100;
constexpr std::size_t widest_line = 160;
constexpr std::size_t max_word_length = 64;

// The Damerau-Levenshtein distance.
std::size_t distance(std::string_view a, std::string_view b)
{
    std::vector<std::size_t> before;
    std::vector<std::size_t> above(b.size() + 1);
    std::iota(above.begin(), above.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::vector<std::size_t> row(b.size() + 1, i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            row[j] = std::min(
                {above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = std::min(row[j], before[j - 2] + 1);
        }
        before = std::exchange(above, std::move(row));
    }
    return above.back();
}

}  // namespace

Report::Report(std::string path, std::string_view text) : path_(std::move(path))
{
    while (!text.empty()) {
        auto next = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), next.size() + 1));
        if (next.ends_with('\r')) next.remove_suffix(1);
        lines_.push_back(next);
    }
}

void Report::error(Position at, std::string message, std::string hint)
{
    if (errors_.size() >= max_diagnostics) return;
    errors_.push_back(diagnose(at, std::move(message), std::move(hint)));
}

void Report::warning(Position at, std::string message, std::string hint)
{
    if (warnings_.size() >= max_diagnostics) return;
    warnings_.push_back(diagnose(at, std::move(message), std::move(hint)));
    warnings_.back().severity = Diagnostic::Severity::warning;
}

void Report::unknown_key(Position at, std::string message, std::string hint)
{
    if (refuses_unknown_keys_)
        error(at, std::move(message), std::move(hint));
    else
        warning(at, std::move(message), std::move(hint));
}

Position Report::find(Position at, std::string_view word) const
{
    const auto from = static_cast<std::size_t>(std::max(at.column - 1, 0));
    const auto found = line(at.line).find(word, from);
    return found == std::string_view::npos ? at : Position{at.line, static_cast<int>(found) + 1};
}

std::string_view Report::line(int number) const
{
    const auto index = static_cast<std::size_t>(number) - 1;
    return number > 0 && index < lines_.size() ? lines_[index] : std::string_view{};
}

Diagnostic Report::diagnose(Position at, std::string message, std::string hint) const
{
    Diagnostic d;
    d.path = path_;
    d.line = at.line;
    d.column = at.column;
    d.message = std::move(message);
    d.hint = std::move(hint);

    const auto text = line(at.line);
    const auto column = static_cast<std::size_t>(std::max(at.column, 0));
    const auto start = column > widest_line / 2 ? column - widest_line / 2 : 0;
    if (start <= text.size()) {
        const bool whole = text.size() <= widest_line;
        d.source_line = whole ? text : text.substr(start, widest_line);
        d.source_column = whole ? at.column : static_cast<int>(column - start);
    }
    return d;
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates)
{
    if (word.size() > max_word_length) return {};
    std::string_view best;
    // At most a third of the letters can differ; more distant guesses are rarely right.
    std::size_t least = std::max<std::size_t>(word.size() / 3, 1) + 1;
    for (const auto candidate : candidates) {
        if (candidate.size() > max_word_length) continue;
        const auto edits = distance(word, candidate);
        if (edits < least) {
            least = edits;
            best = candidate;
        }
    }
    return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates)
{
    const auto best = nearest(word, candidates);
    return best.empty() ? std::string{} : fmt::format("Did you mean '{}'?", best);
}

}  // namespace autoexec::yaml
