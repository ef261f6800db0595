#pragma once

#include "git/entry.hpp"
#include "git/nested_files.hpp"

#include <filesystem>

namespace autoexec::git {

/// A temporary git directory with the refs, HEAD, index and objects of a nested repository, but
/// without its configuration and hooks. Git uses this one, so it runs nothing that a program has
/// configured there. Removed on destruction.
class NestedView {
public:
    /// Prefix of its name, in `autoexec/` of the entry.
    static constexpr std::string_view prefix = "nested-";

    NestedView(const Entry& entry, const NestedFiles& files);
    ~NestedView();
    NestedView(const NestedView&) = delete;
    NestedView& operator=(const NestedView&) = delete;

    /// `tree`: its work tree; empty: not needed.
    [[nodiscard]] GitContext context(std::filesystem::path tree = {}) const;
    /// False if the index could not be copied. A repository without an index has no files.
    [[nodiscard]] bool has_index() const noexcept { return has_index_; }

private:
    std::filesystem::path folder_;
    std::filesystem::path objects_;
    bool has_index_ = false;
};

}  // namespace autoexec::git
