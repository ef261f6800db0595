#include "git/repository.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

namespace autoexec::git {
namespace {

constexpr std::size_t max_name_length = 80;
constexpr std::size_t cut_hash = 10;
constexpr std::size_t short_hash = 8;
constexpr std::string_view lock_ending = ".lock";
constexpr std::string_view between = "-step-";

std::string hash_of(std::string_view text, std::size_t digits)
{
    return text::sha256_hex(text).substr(0, digits);
}

bool is_allowed(char c)
{
    return text::is_letter_or_digit(c) || c == '.' || c == '_' || c == '-';
}

// Runs of `-` and of `.` become one; git does not allow `..`.
std::string allowed(std::string_view text)
{
    std::string name;
    for (const char c : text) {
        const char next = is_allowed(c) ? c : '-';
        const bool repeats = (next == '-' || next == '.') && name.ends_with(next);
        if (!repeats) name.push_back(next);
    }
    while (name.ends_with('-')) name.pop_back();
    name.erase(0, name.find_first_not_of('-'));
    return name;
}

std::string with_hash(std::string name, std::string_view hash)
{
    while (name.ends_with('-')) name.pop_back();
    return fmt::format("{}-{}", name, hash);
}

std::string shortened(const std::string& name, std::size_t max_size)
{
    if (name.size() <= max_size) return name;
    return with_hash(name.substr(0, max_size - cut_hash - 1), hash_of(name, cut_hash));
}

bool may_end_a_name(char c)
{
    return c != '.' && c != '-';
}

bool is_part(std::string_view name)
{
    return !name.empty() && may_end_a_name(name.front()) && may_end_a_name(name.back()) &&
           !name.ends_with(lock_ending);
}

}  // namespace

std::string tree_name(std::string_view workflow_id, std::string_view step_id, int round)
{
    const auto stem = fmt::format("workflow-{}{}{}", workflow_id, between, step_id);
    const auto ending = round > 1 ? fmt::format("-r{}", round) : std::string();
    // Otherwise `a-step-b`, `c` and `a`, `b-step-c` would have the same name.
    const bool ambiguous = stem.find(between) != stem.rfind(between);
    const auto uninterrupted = ambiguous ? fmt::format("{}\n{}", workflow_id, step_id) : stem;
    const auto name = allowed(stem + "-" + hash_of(uninterrupted, short_hash));
    return shortened(name, max_name_length - ending.size()) + ending;
}

bool is_branch_part(std::string_view text)
{
    return text.size() <= max_name_length && is_part(text) && allowed(text) == text;
}

std::string branch_part(std::string_view text)
{
    if (is_branch_part(text)) return std::string(text);
    auto name = allowed(text);
    while (!name.empty() && !is_part(name)) {
        if (!may_end_a_name(name.front()))
            name.erase(0, 1);
        else
            name.pop_back();
    }
    auto hash = hash_of(text, short_hash);
    if (name.empty()) return hash;
    return with_hash(shortened(name, max_name_length - short_hash - 1), hash);
}

}  // namespace autoexec::git
