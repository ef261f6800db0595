#include "git_files/index_file.hpp"

#include "files/safe_files.hpp"
#include "text/text.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace autoexec::git_files {
namespace {

constexpr std::size_t max_index_bytes = 64 * 1024 * 1024;
constexpr std::size_t header_size = 12;
constexpr std::size_t stat_size = 40;  // of an entry, before its object id
constexpr std::size_t mode_offset = 24;
constexpr std::size_t extension_header = 8;
constexpr std::uint32_t long_name = 0xFFF;

/// Iterates over the entries of an index; see gitformat-index(5).
class IndexReader {
public:
    /// `id_size`: 20 bytes for SHA-1, 32 for SHA-256.
    IndexReader(std::string_view data, std::size_t id_size) : data_(data), id_size_(id_size)
    {
        valid_ = data_.size() >= header_size && data_.starts_with("DIRC");
        if (!valid_) return;
        version_ = number(4, 4);
        left_ = number(8, 4);
        valid_ = version_ >= 2 && version_ <= 4;
        at_ = header_size;
    }

    /// Returns false at the end and for an unknown format.
    bool next()
    {
        if (!valid_ || left_ == 0) return false;
        --left_;
        valid_ = read_entry();
        return valid_;
    }

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] IndexedFile entry() const
    {
        IndexedFile entry;
        entry.path = path_;
        entry.id = data_.substr(begin_ + stat_size, id_size_);
        entry.mode = number(begin_ + mode_offset, 4);
        entry.stage = flags_ >> 12U & 3U;
        entry.assumed_unchanged = (flags_ & 0x8000U) != 0;
        return entry;
    }
    /// Its file is missing on purpose.
    [[nodiscard]] bool is_skipped() const noexcept { return is_skipped_; }
    [[nodiscard]] bool valid() const noexcept { return valid_; }

    /// True, after all paths, if the rest is a checksum and extensions that neither add entries nor
    /// state where git finds them.
    [[nodiscard]] bool ends_well() const
    {
        constexpr std::array<std::string_view, 4> harmless{"TREE", "REUC", "UNTR", "FSMN"};
        auto at = at_;
        while (at + extension_header + id_size_ <= data_.size()) {
            if (std::ranges::find(harmless, data_.substr(at, 4)) == harmless.end()) return false;
            at += extension_header + number(at + 4, 4);
        }
        return at + id_size_ == data_.size();
    }

    /// The data of an extension, after all paths.
    [[nodiscard]] std::optional<std::string_view> extension(std::string_view signature) const
    {
        for (auto at = at_; at + extension_header + id_size_ <= data_.size();) {
            const std::size_t size = number(at + 4, 4);
            const auto begin = at + extension_header;
            if (size > data_.size() - begin) break;
            if (data_.substr(at, 4) == signature) return data_.substr(begin, size);
            at = begin + size;
        }
        return std::nullopt;
    }

private:
    [[nodiscard]] std::uint32_t number(std::size_t at, std::size_t bytes) const
    {
        std::uint32_t value = 0;
        for (std::size_t i = 0; i < bytes; ++i)
            value = value << 8U | static_cast<unsigned char>(data_[at + i]);
        return value;
    }

    bool read_entry()
    {
        begin_ = at_;
        const auto flags_at = begin_ + stat_size + id_size_;
        if (flags_at + 4 > data_.size()) return false;
        flags_ = number(flags_at, 2);
        const bool extended = (flags_ & 0x4000U) != 0;
        if (extended && version_ < 3) return false;
        is_skipped_ = extended && (number(flags_at + 2, 2) & 0x4000U) != 0;
        at_ = flags_at + (extended ? 4 : 2);
        if (version_ == 4 && !drop_suffix()) return false;
        const auto end = data_.find('\0', at_);
        if (end == std::string_view::npos) return false;
        if (version_ < 4) path_.clear();
        path_.append(data_.substr(at_, end - at_));
        // Version 4 has no padding; other entries are padded with NULs to a multiple of 8.
        at_ = version_ == 4 ? end + 1 : begin_ + (end - begin_ + 8) / 8 * 8;
        const auto length = flags_ & long_name;
        return length == long_name ? path_.size() >= long_name : path_.size() == length;
    }

    // How many bytes at the end of the last path are replaced.
    bool drop_suffix()
    {
        std::uint64_t drop = 0;
        for (bool first = true;; first = false) {
            if (at_ >= data_.size() || drop > max_index_bytes) return false;
            const auto byte = static_cast<unsigned char>(data_[at_++]);
            drop = (first ? 0 : drop + 1) << 7U | (byte & 0x7FU);
            if ((byte & 0x80U) == 0) break;
        }
        if (drop > path_.size()) return false;
        path_.resize(path_.size() - drop);
        return true;
    }

    std::string_view data_;
    std::size_t id_size_;
    std::uint32_t version_ = 0;
    std::uint32_t left_ = 0;
    std::size_t begin_ = 0;  // of the last entry
    std::size_t at_ = 0;
    std::uint32_t flags_ = 0;
    bool is_skipped_ = false;
    std::string path_;
    bool valid_ = false;
};

// True if git reads the same entries, one for each file.
bool is_plain(std::string_view data, std::size_t id_size)
{
    IndexReader reader(data, id_size);
    std::string last;
    unsigned last_stage = 0;
    while (reader.next()) {
        const auto entry = reader.entry();
        const bool other_side = entry.path == last && last_stage > 0 && entry.stage > last_stage;
        if (reader.is_skipped() || S_ISDIR(entry.mode)) return false;
        if (entry.path <= last && !other_side) return false;
        last = entry.path;
        last_stage = entry.stage;
    }
    return reader.valid() && reader.ends_well();
}

std::string read_index_file(const std::filesystem::path& index)
{
    const auto folder = files::open_folder(index.parent_path());
    if (!folder) return {};
    return files::read_regular(folder.get(), index.filename(), max_index_bytes, {}).text;
}

std::optional<std::vector<std::string>> find_paths(std::string_view data, std::size_t id_size,
                                                   const std::vector<std::string>& wanted)
{
    std::vector<std::string> found;
    IndexReader paths(data, id_size);
    while (paths.next()) {
        const bool known = !found.empty() && found.back() == paths.path();  // sides of a conflict
        if (!known && std::find(wanted.begin(), wanted.end(), paths.path()) != wanted.end())
            found.push_back(paths.path());
    }
    if (!paths.valid()) return std::nullopt;
    return found;
}

// Of `<path>\0<number of entries> <number of subtrees>\n<id>` for each tree, the root first.
// Without an id, and with a negative number, if it has changed since.
std::string_view id_of_root(std::string_view trees, std::size_t id_size)
{
    const auto line = trees.find('\n');
    if (!trees.starts_with('\0') || line == trees.npos || trees.substr(1).starts_with('-'))
        return {};
    return trees.substr(line + 1, id_size);
}

}  // namespace

bool visit_index(const std::filesystem::path& index, std::size_t id_size,
                 const std::function<void(const IndexedFile&)>& visit)
{
    const auto data = read_index_file(index);
    if (!is_plain(data, id_size)) return false;
    for (IndexReader reader(data, id_size); reader.next();) visit(reader.entry());
    return true;
}

bool index_is_tree(const std::filesystem::path& index, const std::string& tree)
{
    if (tree.empty()) return false;
    const auto data = read_index_file(index);
    const auto id_size = tree.size() / 2;
    IndexReader reader(data, id_size);
    while (reader.next())
        ;
    const auto trees = reader.valid() ? reader.extension("TREE") : std::nullopt;
    return trees && text::hex(id_of_root(*trees, id_size)) == tree;
}

std::vector<std::string> tracked_among(const std::filesystem::path& git_dir,
                                       const std::vector<std::string>& paths)
{
    const auto data = read_index_file(git_dir / "index");
    for (const std::size_t id_size : {20U, 32U})
        if (auto found = find_paths(data, id_size, paths)) return *std::move(found);
    return {};
}

}  // namespace autoexec::git_files
