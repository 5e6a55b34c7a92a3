# redis-rb with its defaults, or with another reply time limit (REPLY_TIMEOUT, in seconds), or with a name (CLIENT_NAME): then it
# sends CLIENT SETNAME on each new connection and waits for the answer.
require "json"
require "redis"

PAUSE = 0.05

def now
  Process.clock_gettime(Process::CLOCK_MONOTONIC)
end

def show(line)
  $stdout.write(JSON.generate(line) + "\n")
  $stdout.flush
end

def connect(mode, service, addresses)
  pairs = addresses.map { |address| address.split(":") }.map { |host, port| { host: host, port: port.to_i } }
  settings = {}
  settings[:timeout] = Float(ENV["REPLY_TIMEOUT"]) if ENV["REPLY_TIMEOUT"]
  settings[:id] = ENV["CLIENT_NAME"] if ENV["CLIENT_NAME"]
  return Redis.new(**pairs[0], **settings) if mode == "proxy"

  Redis.new(url: "redis://#{service}", sentinels: pairs, role: :master, **settings)
end

def write
  (0..).each do |i|
    started = now
    error = ""
    begin
      yield i.to_s
    rescue Redis::BaseError => e
      error = "#{e.class}: #{e.message}"
    end
    show({ n: i.to_s, started: started, ended: now, ok: error.empty?, error: error })
    sleep PAUSE
  end
end

def subscribe(client, channel)
  client.subscribe(channel) do |on|
    on.subscribe { show({ ready: true }) }
    on.message { |_, message| show({ done: message }) }
  end
rescue Redis::BaseError => e
  warn "#{e.class}: #{e.message}"
  sleep PAUSE
end

role, mode, service, prefix, *addresses = ARGV
client = connect(mode, service, addresses)
case role
when "subscribe" then loop { subscribe(client, prefix) }
when "publish" then write { |n| client.publish(prefix, n) }
else write { |n| client.incr("#{prefix}:#{n}") }
end
