#include "cli/session/patch_output.hpp"

#include "cli/session/color.hpp"
#include "cli/session/output.hpp"
#include "cli/session/terminal_program.hpp"
#include "text/text.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace autoexec::cli {
namespace {

/// The renditions of the lines of a patch: a removed line may look like a header.
class PatchColors {
public:
    std::string_view of(std::string_view line)
    {
        if (line.starts_with("diff ")) in_hunk_ = false;
        if (line.starts_with("@@")) {
            in_hunk_ = true;
            return renditions::cyan;
        }
        if (!in_hunk_) return line.starts_with(' ') ? std::string_view() : renditions::bold;
        if (line.starts_with('+')) return renditions::green;
        return line.starts_with('-') ? renditions::red : std::string_view();
    }

private:
    bool in_hunk_ = false;
};

}  // namespace

std::string patch_for_terminal(std::string_view patch, bool colored)
{
    auto safe = text::printable(patch, true);
    if (!colored) return safe;
    std::string out;
    out.reserve(safe.size() + safe.size() / 4);
    PatchColors colors;
    std::string_view rest = safe;
    while (!rest.empty()) {
        const auto end = rest.find('\n');
        const auto line = rest.substr(0, end);
        out += line.empty() ? std::string() : with_rendition(line, colors.of(line));
        if (end == rest.npos) break;
        out += '\n';
        rest.remove_prefix(end + 1);
    }
    return out;
}

void print_patch(std::string_view patch, const std::string& pager)
{
    if (patch.empty()) return;
    const bool is_colored = shows_color(STDOUT_FILENO);
    const bool is_terminal = ::isatty(STDOUT_FILENO) == 1;
    if (!is_terminal && !is_colored) return print_exact_result(patch);
    if (!is_terminal || pager.empty() || pager == "cat")
        return print_exact_result(patch_for_terminal(patch, is_colored));
    // As git sets them.
    (void)::setenv("LESS", "FRX", 0);
    (void)::setenv("LV", "-c", 0);
    const auto shown = patch_for_terminal(patch, is_colored);
    const int code = run_on_terminal(pager, {}, shown);
    if (code == program_not_found || code < 0) print_exact_result(shown);
}

}  // namespace autoexec::cli
