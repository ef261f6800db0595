#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <vector>

namespace autoexec::test {

/// While it lives, this process can open nothing more: each try fails with EMFILE.
class NoDescriptorsLeft {
public:
    NoDescriptorsLeft()
    {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        const rlimit none{0, before_.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &none);
    }
    ~NoDescriptorsLeft() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    NoDescriptorsLeft(const NoDescriptorsLeft&) = delete;
    NoDescriptorsLeft& operator=(const NoDescriptorsLeft&) = delete;

private:
    rlimit before_{};
};

/// While it lives, this process can open so many descriptors more.
class FewDescriptorsLeft {
public:
    explicit FewDescriptorsLeft(int count)
    {
        constexpr rlim_t enough = 256;
        ::getrlimit(RLIMIT_NOFILE, &before_);
        const rlimit low{enough, before_.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &low);
        taken_.reserve(enough);
        for (int fd = 0; (fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;)
            taken_.push_back(fd);
        for (; count > 0 && !taken_.empty(); --count) {
            ::close(taken_.back());
            taken_.pop_back();
        }
    }
    ~FewDescriptorsLeft()
    {
        for (const int fd : taken_) ::close(fd);
        ::setrlimit(RLIMIT_NOFILE, &before_);
    }
    FewDescriptorsLeft(const FewDescriptorsLeft&) = delete;
    FewDescriptorsLeft& operator=(const FewDescriptorsLeft&) = delete;

private:
    rlimit before_{};
    std::vector<int> taken_;
};

}  // namespace autoexec::test
