#pragma once

#include "git/git.hpp"

#include <boost/asio/awaitable.hpp>

#include <filesystem>
#include <string>
#include <string_view>

namespace autoexec::git {

/// A folder with nothing but the `.gitattributes` of a commit. Git takes attributes (`merge=union`,
/// `-merge` …) from the files of a tree, and a merge without a checkout has none: those of the
/// user's checkout would be others. Removed when destroyed.
class AttributesFolder {
public:
    /// Of its name, in `autoexec/` of the common directory.
    static constexpr std::string_view prefix = "attributes-";

    explicit AttributesFolder(const std::filesystem::path& common_dir);
    ~AttributesFolder();
    AttributesFolder(const AttributesFolder&) = delete;
    AttributesFolder& operator=(const AttributesFolder&) = delete;

    /// Best effort: a file that can't be had is left out.
    asio::awaitable<void> fill(const Git& git, std::string commit);

    /// The repository as if this were its tree.
    [[nodiscard]] Place place() const { return {common_, folder_}; }

private:
    std::filesystem::path common_;
    std::filesystem::path folder_;
};

}  // namespace autoexec::git
