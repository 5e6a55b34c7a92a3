# Redis.pm with its defaults and `reconnect`: without it an object whose connection has ended is of no use any more.
use strict;
use warnings;
use JSON::PP;
use Redis;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC sleep);

use constant PAUSE => 0.05;
use constant RECONNECT => 60;    # seconds that it tries for

$| = 1;
my ($role, $mode, $service, $prefix, @addresses) = @ARGV;

sub now { return clock_gettime(CLOCK_MONOTONIC) }
sub show { my ($line) = @_; print encode_json($line), "\n"; return }

sub client {
    my @where = $mode eq 'proxy' ? (server => $addresses[0]) : (sentinels => \@addresses, service => $service);
    return Redis->new(@where, reconnect => RECONNECT);
}

sub writer {
    my ($operation) = @_;
    for (my $i = 0; ; $i++) {
        my ($started, $error) = (now(), '');
        eval { $operation->("$i"); 1 } or $error = "$@" || 'failed';
        show({n => "$i", started => $started, ended => now(), ok => $error eq '' ? JSON::PP::true : JSON::PP::false,
              error => $error});
        sleep(PAUSE);
    }
    return;
}

# Where the connection ends in wait_for_messages() the object does not connect again: a new one is made.
sub subscriber {
    my $redis = client();
    $redis->subscribe($prefix, sub { my ($message) = @_; show({done => $message}) });
    show({ready => JSON::PP::true});
    $redis->wait_for_messages(0) while 1;
    return;
}

if ($role eq 'subscribe') {
    while (1) {
        eval { subscriber(); 1 } or warn $@;
        sleep(PAUSE);
    }
}
my $redis = client();
writer($role eq 'publish' ? sub { $redis->publish($prefix, $_[0]) } : sub { $redis->incr("$prefix:$_[0]") });
