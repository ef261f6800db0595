#include "files/safe_files.hpp"
#include "git/snapshot.hpp"
#include "text/text.hpp"

#include <unistd.h>

namespace autoexec::git {

PathFile::PathFile(const Entry& entry, const std::vector<std::string>& paths)
    : file_(entry.records() / ("paths-" + text::new_uuid()))
{
    std::string text;
    for (const auto& path : paths) text.append(path).push_back('\0');
    error_code ec;  // a failure shows when git cannot read the file
    const auto folder = files::make_folders(entry.records(), ec);
    if (folder)
        (void)files::replace_file(folder.get(), file_.filename(), text, 0600, Durability::none);
}

PathFile::~PathFile()
{
    ::unlink(file_.c_str());
}

std::vector<std::string> included_paths(const Entry& entry)
{
    std::vector<std::string> paths;
    const auto text = read_git_file(entry.records() / "included");
    for (const auto path : split_nul(text)) paths.emplace_back(path);
    return paths;
}

}  // namespace autoexec::git
