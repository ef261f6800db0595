#include "cli/config/config_file.hpp"
#include "cli/session/terminal_program.hpp"
#include "cli/subcommand.hpp"
#include "files/safe_files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <utility>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;

constexpr char new_file[] =
    R"(# Settings of autoexec: see doc/configuration.md, or 'autoexec config reference'.
auto_execution:
  version: "1.1"
)";

/// A file for an editor. At the end it is removed, unless it has changes that were not written.
class EditedCopy {
public:
    explicit EditedCopy(std::string before) : before_(std::move(before))
    {
        std::error_code no_folder;
        path_ = (fs::temp_directory_path(no_folder) / "autoexec-XXXXXX.yaml").string();
        if (no_folder) fail(exit_usage, "cannot use the folder of TMPDIR: {}", no_folder.message());
        constexpr int suffix = 5;
        const files::UniqueFd fd(::mkostemps(path_.data(), suffix, O_CLOEXEC));
        if (!fd) fail(exit_internal, "cannot create {}: {}", path_, std::strerror(errno));
        const auto ec = files::write_all(fd.get(), before_);
        if (!ec) return;
        (void)::unlink(path_.c_str());
        fail(exit_internal, "cannot write {}: {}", path_, ec.message());
    }
    ~EditedCopy()
    {
        if (!is_needed()) (void)::unlink(path_.c_str());
    }
    EditedCopy(const EditedCopy&) = delete;
    EditedCopy& operator=(const EditedCopy&) = delete;

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    /// Whether it is left at the end.
    [[nodiscard]] bool is_needed() const
    {
        std::string ignored;
        std::error_code ec;
        return !is_written_ && fs::exists(path_, ec) && read_text(path_, ignored) != before_;
    }
    void set_written() noexcept { is_written_ = true; }

    [[nodiscard]] std::string text() const
    {
        std::string problem;
        auto text = read_text(path_, problem);
        if (!text) fail(exit_invalid, "cannot use {}: {}", path_, problem);
        return *std::move(text);
    }

private:
    std::string before_;
    std::string path_;
    bool is_written_ = false;
};

bool wants_to_edit_again()
{
    if (::isatty(STDIN_FILENO) != 1) return false;
    print_message("Edit again? [Y/n] ");
    std::string answer;
    return std::getline(std::cin, answer) && answer != "n" && answer != "N" && answer != "no";
}

// True once its text is written or unchanged; false: it is to be edited again.
bool edit_once(const ConfigFile& file, EditedCopy& copy)
{
    run_editor(users_editor().value_or("vi"), copy.path());
    const auto text = copy.text();
    if (!copy.is_needed()) {
        print_message("Nothing has changed.\n");
        return true;
    }
    if (file.check(text)) {
        file.write(text);
        copy.set_written();
        return true;
    }
    if (wants_to_edit_again()) return false;
    fail(exit_invalid, "{} was not changed", shown_path(file.path()));
}

int edit_config(const ConfigFileOptions& options)
{
    const ConfigFile file(options);
    EditedCopy copy(file.text().empty() ? std::string(new_file) : file.text());
    try {
        while (!edit_once(file, copy)) {
        }
    } catch (Failure& failure) {
        if (copy.is_needed()) failure.advice = fmt::format("Your text is {}\n", copy.path());
        throw;
    }
    return exit_completed;
}

void define_config_edit(CLI::App& app, ConfigFileOptions& o)
{
    add_project(app, o);
    add_config_file(app, o);
    app.footer("The editor is that of VISUAL or EDITOR, else vi. An invalid text changes nothing.");
}

}  // namespace

extern const Subcommand config_edit_subcommand = subcommand(
    "config edit", "Edit the configuration file and check it", define_config_edit, edit_config);

}  // namespace autoexec::cli
