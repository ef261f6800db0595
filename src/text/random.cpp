#include "text/random.hpp"

#include "autoexec/error.hpp"

#include <sys/mman.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <mutex>

namespace autoexec::text {
namespace {

void read_random(std::span<unsigned char> bytes)
{
    while (!bytes.empty()) {
        const auto size = ::getrandom(bytes.data(), bytes.size(), 0);
        if (size > 0)
            bytes = bytes.subspan(static_cast<std::size_t>(size));
        else if (errno != EINTR)
            throw system_error(error_code(errno, boost::system::system_category()));
    }
}

/// Bytes for many names from one system call. The kernel wipes the page in a forked child, which
/// therefore begins with an empty one.
class RandomPage {
public:
    RandomPage()
    {
        void* const memory = ::mmap(nullptr, sizeof(Content), PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) return;
        if (::madvise(memory, sizeof(Content), MADV_WIPEONFORK) == 0)
            content_ = static_cast<Content*>(memory);
        else
            (void)::munmap(memory, sizeof(Content));
    }

    void take(std::span<unsigned char> bytes)
    {
        if (content_ == nullptr || bytes.size() > size) return read_random(bytes);
        const std::lock_guard lock(mutex_);
        if (content_->left < bytes.size()) {
            read_random(content_->bytes);
            content_->left = size;
        }
        content_->left -= bytes.size();
        std::copy_n(content_->bytes.begin() + content_->left, bytes.size(), bytes.begin());
    }

private:
    static constexpr std::size_t size = 2048;
    struct Content {
        std::size_t left;
        std::array<unsigned char, size> bytes;
    };

    std::mutex mutex_;
    Content* content_ = nullptr;
};

}  // namespace

void fill_random(std::span<unsigned char> bytes)
{
    static auto& page = *new RandomPage;  // also for what is destroyed at the end of the process
    page.take(bytes);
}

}  // namespace autoexec::text
