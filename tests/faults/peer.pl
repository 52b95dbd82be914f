# One end of a session: gives one file, takes the other and compares it, both at once, and says in a word how it ended.
#
#   peer.pl GIVE TAKE VERDICT listen ADDRESS PORT   takes one connection; ends its stream when the other has ended;
#                                                   resets it on SIGUSR1
#   peer.pl GIVE TAKE VERDICT connect PORT          a client of a port of this machine
#   peer.pl GIVE TAKE VERDICT run PROGRAM WORDS...  a program's standard input and output; exits as the program does
#
# whole: all has come, and a clean end. short: a clean end before that. broken: an error. wrong: other bytes. stuck:
# nothing has moved for a minute.
use strict;
use warnings;
use Errno qw(EAGAIN EINTR);
use Fcntl;
use IO::Socket::INET;
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER);

$SIG{PIPE} = 'IGNORE';
my ($give_name, $take_name, $verdict_name, $mode, @words) = @ARGV;
my ($give, $take) = (slurp($give_name), slurp($take_name));

sub slurp {
    open my $file, '<:raw', $_[0] or die "$_[0]: $!";
    local $/;
    return <$file> // '';
}

sub note {
    my ($text, $name) = @_;
    open my $file, '>', $name or die "$name: $!";
    print $file "$text\n";
    close $file;
}

my ($in, $out, $child);
if ($mode eq 'listen') {
    my $listener = IO::Socket::INET->new(LocalAddr => $words[0], LocalPort => $words[1], Listen => 1, ReuseAddr => 1)
        or die "cannot listen at @words: $@";
    note('listening', "$verdict_name.ready");
    $in = $out = $listener->accept or die "accept: $!";
    close $listener;
    $SIG{USR1} = sub { setsockopt $in, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0; POSIX::_exit(0) };
} elsif ($mode eq 'connect') {
    for (1 .. 100) {
        $in = $out = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $words[0]) and last;
        select undef, undef, undef, 0.1;
    }
    defined $in or die "nobody listens at @words";
} else {
    pipe my $its_in, $out or die;
    pipe $in, my $its_out or die;
    defined($child = fork) or die;
    if (!$child) {
        open STDIN, '<&', $its_in or die;
        open STDOUT, '>&', $its_out or die;
        $SIG{PIPE} = 'DEFAULT';
        exec @words or die "$words[0]: $!";
    }
    close $its_in;
    close $its_out;
}
fcntl $_, F_SETFL, fcntl($_, F_GETFL, 0) | O_NONBLOCK for $in, $out;

my ($given, $taken, $ended, $gone, $verdict) = (0, 0, 0, 0, undef);
while (!defined $verdict) {
    if ($gone && $ended) {
        $verdict = $taken == length $take ? 'whole' : 'short';
        last;
    }
    my $all_given = $given == length $give;
    # Some proxies end both directions with the first: the end comes when nothing else is left.
    my $may_end = $mode eq 'listen' ? $ended : $taken == length $take || $ended;
    my ($r, $w) = ('', '');
    vec($r, fileno $in, 1) = 1 if !$ended;
    vec($w, fileno $out, 1) = 1 if !$gone && (!$all_given || $may_end);
    select($r, $w, undef, 60) or do { $verdict = 'stuck'; last };
    if (!$ended && vec $r, fileno $in, 1) {
        my $count = sysread $in, my $bytes, 65536;
        if (!defined $count) {
            $verdict = 'broken' if $! != EAGAIN && $! != EINTR;
        } elsif ($count == 0) {
            $ended = 1;
        } elsif ($bytes ne substr $take, $taken, $count) {
            $verdict = 'wrong';
        } else {
            $taken += $count;
        }
    }
    if (!$gone && vec $w, fileno $out, 1) {
        if ($all_given) {
            $gone = 1;
            if ($mode eq 'run') { close $out } else { shutdown $out, 1 }
        } else {
            my $count = syswrite $out, $give, 65536, $given;
            if (defined $count) { $given += $count }
            # A program that has ended takes nothing. What it gave is still to be read.
            elsif ($! != EAGAIN && $! != EINTR) { if ($mode eq 'run') { $gone = 1 } else { $verdict = 'broken' } }
        }
    }
}
my $code = 0;
if (defined $child) {
    close $in;
    close $out;
    waitpid $child, 0;
    $code = $? & 127 ? 128 + ($? & 127) : $? >> 8;
}
note("$verdict $taken", $verdict_name);
exit $code;
