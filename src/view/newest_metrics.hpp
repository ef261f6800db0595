#pragma once

#include "autoexec/event.hpp"
#include "records/log_file.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace autoexec::view {

/// The executions that were recorded last, by their last attempts, from the files that `history`
/// reads. Only what has been appended is read again.
class NewestMetrics {
public:
    NewestMetrics(records::Folder folder, std::size_t max_executions);

    /// Also finds new files. True if something has changed.
    bool refresh();

    /// Looks only at the newest two files, in which lines are appended.
    bool read_appended();
    /// Whether it is one of these.
    [[nodiscard]] bool has(const std::string& name) const;

    using Metric = std::shared_ptr<const ExecutionMetric>;

    /// By execution id.
    [[nodiscard]] const std::map<std::string, Metric>& all() const noexcept { return metrics_; }

private:
    struct Followed {
        std::string name;
        std::uint64_t inode = 0;
        std::uint64_t offset = 0;  ///< Of the first line that is not complete.
        std::string before;        ///< The last bytes before it.
        /// The size when the last line was not complete; zero: it was.
        std::uint64_t incomplete_size = 0;
    };
    using Place = std::pair<std::string, std::uint64_t>;  ///< Day and offset of a line.
    enum class Appended { nothing, lines, lost };

    bool read_again(int folder);
    bool follow_new_files(int folder, const std::vector<std::string>& names);
    void read_newest(int folder);
    void read_backwards(int folder, const std::string& name);
    Appended read_appended(int folder);
    Appended read_appended(int folder, Followed& file);
    bool add(const Place& place, std::string_view line);

    records::Folder folder_;
    std::size_t max_executions_;
    std::vector<std::string> names_;  ///< Newest first.
    std::vector<Followed> followed_;  ///< The newest two: writers change files at different times.
    std::map<std::string, Metric> metrics_;
    std::map<Place, std::string> order_;  ///< Of their execution ids.
    std::map<std::string, Place> places_;
};

}  // namespace autoexec::view
