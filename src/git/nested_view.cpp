#include "git/nested_view.hpp"

#include "files/safe_files.hpp"
#include "git/temporary_index.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>

namespace autoexec::git {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view remotes = "refs/remotes/";
constexpr std::size_t sha256_size = 64;

std::string config_for(const NestedFiles& files)
{
    const bool sha256 = files.head.size() == sha256_size ||
                        (!files.refs.empty() && files.refs.begin()->second.size() == sha256_size);
    return sha256 ? "[core]\n\trepositoryformatversion = 1\n\tbare = false\n"
                    "[extensions]\n\tobjectFormat = sha256\n"
                  : "[core]\n\trepositoryformatversion = 0\n\tbare = false\n";
}

// Under generated names: the repository's own may be anything.
std::string refs_of(const NestedFiles& files)
{
    std::string lines;
    std::size_t count = 0;
    for (const bool remote : {false, true})
        for (const auto& [name, id] : files.refs)
            if (name.starts_with(remotes) == remote)
                lines +=
                    fmt::format("{} refs/{}/n{:09}\n", id, remote ? "remotes/r" : "heads", count++);
    return lines;
}

}  // namespace

NestedView::NestedView(const Entry& entry, const NestedFiles& files)
    : folder_(entry.records() / std::string(prefix).append(text::new_uuid())),
      objects_(files.common_dir / "objects")
{
    error_code ec;
    const auto folder = files::make_folders(folder_, ec);
    if (!folder) return;
    (void)files::make_folders(folder_ / "refs", ec);
    const auto info = files::make_folders(folder_ / "info", ec);
    const auto write = [](int where, const char* name, const std::string& text) {
        (void)files::replace_file(where, name, text, 0600, Durability::none);
    };
    write(folder.get(), "config", config_for(files));
    write(folder.get(), "packed-refs", refs_of(files));
    write(folder.get(), "HEAD", files.head.empty() ? "ref: refs/heads/none\n" : files.head + "\n");
    const auto shallow = read_git_file(files.common_dir / "shallow");
    if (!shallow.empty()) write(folder.get(), "shallow", shallow);
    if (info) write(info.get(), "exclude", read_git_file(files.common_dir / "info" / "exclude"));
    has_index_ = copy_index(files.git_dir / "index", folder_ / "index");
}

NestedView::~NestedView()
{
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
}

GitContext NestedView::context(fs::path tree) const
{
    GitContext context(folder_, std::move(tree));
    context.objects = objects_;
    return context;
}

}  // namespace autoexec::git
