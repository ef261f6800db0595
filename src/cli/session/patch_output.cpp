#include "cli/session/patch_output.hpp"

#include "cli/session/output.hpp"
#include "cli/session/terminal_program.hpp"
#include "text/text.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace autoexec::cli {
namespace {

constexpr std::string_view bold = "\x1b[1m";
constexpr std::string_view cyan = "\x1b[36m";
constexpr std::string_view green = "\x1b[32m";
constexpr std::string_view red = "\x1b[31m";
constexpr std::string_view plain = "\x1b[m";

// no-color.org
bool has_color()
{
    const auto term = variable_value("TERM");
    return !variable_value("NO_COLOR") && term && *term != "dumb";
}

/// The colours of the lines of a patch: a removed line may look like a header.
class PatchColors {
public:
    std::string_view of(std::string_view line)
    {
        if (line.starts_with("diff ")) in_hunk_ = false;
        if (line.starts_with("@@")) {
            in_hunk_ = true;
            return cyan;
        }
        if (!in_hunk_) return line.starts_with(' ') ? std::string_view() : bold;
        if (line.starts_with('+')) return green;
        return line.starts_with('-') ? red : std::string_view();
    }

private:
    bool in_hunk_ = false;
};

}  // namespace

std::string patch_for_terminal(std::string_view patch, bool colored)
{
    const auto safe = text::printable(patch, true);
    if (!colored) return safe;
    std::string out;
    out.reserve(safe.size() + safe.size() / 4);
    PatchColors colors;
    std::string_view rest = safe;
    while (!rest.empty()) {
        const auto end = rest.find('\n');
        const auto line = rest.substr(0, end);
        const auto color = line.empty() ? std::string_view() : colors.of(line);
        out.append(color).append(line).append(color.empty() ? std::string_view() : plain);
        if (end == rest.npos) break;
        out += '\n';
        rest.remove_prefix(end + 1);
    }
    return out;
}

void print_patch(std::string_view patch, const std::string& pager)
{
    if (patch.empty()) return;
    if (::isatty(STDOUT_FILENO) != 1) return print_exact_result(patch);
    if (pager.empty() || pager == "cat")
        return print_exact_result(patch_for_terminal(patch, has_color()));
    // As git sets them.
    (void)::setenv("LESS", "FRX", 0);
    (void)::setenv("LV", "-c", 0);
    const auto shown = patch_for_terminal(patch, has_color());
    const int code = run_on_terminal(pager, {}, shown);
    if (code == program_not_found || code < 0) print_exact_result(shown);
}

}  // namespace autoexec::cli
