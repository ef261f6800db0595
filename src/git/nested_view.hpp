#pragma once

#include "git/entry.hpp"
#include "git/nested_files.hpp"

#include <filesystem>

namespace autoexec::git {

/// A git directory of our own that shows what is in a repository within a tree: its refs, HEAD,
/// index and objects, with nothing of its configuration and none of its hooks. Git works with this
/// one, so nothing that a program has set up there is run. Removed when destroyed.
class NestedView {
public:
    /// Of its name, in `autoexec/` of the entry.
    static constexpr std::string_view prefix = "nested-";

    NestedView(const Entry& entry, const NestedFiles& files);
    ~NestedView();
    NestedView(const NestedView&) = delete;
    NestedView& operator=(const NestedView&) = delete;

    /// `tree`: its working folder; empty: none is needed.
    [[nodiscard]] Place place(std::filesystem::path tree = {}) const;
    /// Whether the index could be copied. One without an index has no files.
    [[nodiscard]] bool has_index() const noexcept { return has_index_; }

private:
    std::filesystem::path folder_;
    std::filesystem::path objects_;
    bool has_index_ = false;
};

}  // namespace autoexec::git
