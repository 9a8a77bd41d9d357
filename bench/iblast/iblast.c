// iblast.c - low-overhead raw iSCSI load client (no libiscsi), so that the target, not the client, is the limit.
//   gcc -O2 -o iblast iblast.c
//   iblast [-n SESSIONS] [-q QD] [-b BYTES] [-w] [-s] [-t SECS] [-p TARGETPID] [-i IDLE_SECS] [-C FILL|VERIFY]
//          [-W WARM] HOST:PORT IQN LUN
// -w write  -s sequential  -i open the sessions, print target RSS, stay idle  -F fill LUN with stamps  -V verify stamps
// on read
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;
#define MAXQ 256
#define LARGE 16384 // data that is sent from where it is, one command at a time
struct slot {
  u64 t, off;
  u32 len;
  int busy;
  u8 *buf;
};
struct sess {
  int fd;
  u32 cmdsn, expstat, maxcmd;
  int inflight;
  size_t have;
  u8 *rx;
  size_t skip;
  int cur;
  int fin;
  size_t dpos;
  u8 *tx;
  size_t txn;
  struct slot s[MAXQ];
  int freel[MAXQ], nfree;
  u32 tmrdsl, first;
  int imm;
  u64 seq, done;
  u8 hdr[48];
};
static int qd = 1, wr, seqio, verify, fill;
static u32 bs = 4096;
static u64 cap, limitb = 1ull << 30;
static u32 blk;
static int lun;
static u64 rng = 88172645463325252ull;
static u8 *wbuf;
static u32 *lat;
static u64 nl, latcap = 8000000, done_n, errs, verr;
static int issuing = 1;
static const char *iqn;
static u64 fillpos;
static u64 now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}
static void die(const char *s) {
  fprintf(stderr, "iblast: %s: %s\n", s, strerror(errno));
  exit(1);
}
static void p32(u8 *p, u32 v) {
  v = htobe32(v);
  memcpy(p, &v, 4);
}
static u32 g32(const u8 *p) {
  u32 v;
  memcpy(&v, p, 4);
  return be32toh(v);
}
static u32 g24(const u8 *p) {
  return p[0] << 16 | p[1] << 8 | p[2];
}
static void p24(u8 *p, u32 v) {
  p[0] = v >> 16;
  p[1] = v >> 8;
  p[2] = v;
}
static void p64(u8 *p, u64 v) {
  v = htobe64(v);
  memcpy(p, &v, 8);
}
static u64 g64(const u8 *p) {
  u64 v;
  memcpy(&v, p, 8);
  return be64toh(v);
}
static void sendall(int fd, const u8 *p, size_t n) {
  while (n) {
    ssize_t r = send(fd, p, n, MSG_NOSIGNAL);
    if (r < 0) {
      if (errno == EINTR)
        continue;
      die("send");
    }
    p += r;
    n -= r;
  }
}
static void recvall(int fd, u8 *p, size_t n) {
  while (n) {
    ssize_t r = recv(fd, p, n, 0);
    if (r == 0) {
      fprintf(stderr, "iblast: target closed the connection\n");
      exit(1);
    }
    if (r < 0) {
      if (errno == EINTR)
        continue;
      die("recv");
    }
    p += r;
    n -= r;
  }
}
static void plun(u8 *p) {
  memset(p, 0, 8);
  p[0] = lun >> 8;
  p[1] = lun;
}
static char kv[65536];
static size_t kvn;
static void login(struct sess *s, int csg, int nsg, const char *text, size_t tl, u8 *isid) {
  u8 h[48] = {0};
  h[0] = 0x43;
  h[1] = 0x80 | csg << 2 | nsg;
  p24(h + 5, tl);
  memcpy(h + 8, isid, 6);
  p32(h + 16, 0x1000);
  p32(h + 24, s->cmdsn);
  p32(h + 28, s->expstat);
  u8 b[4096] = {0};
  memcpy(b, h, 48);
  memcpy(b + 48, text, tl);
  sendall(s->fd, b, 48 + ((tl + 3) & ~3));
  for (;;) {
    recvall(s->fd, h, 48);
    size_t dl = (g24(h + 5) + 3) & ~3;
    recvall(s->fd, (u8 *)kv, dl);
    kvn = g24(h + 5);
    kv[kvn] = 0;
    if (h[0] != 0x23) {
      fprintf(stderr, "iblast: login: opcode %x\n", h[0]);
      exit(1);
    }
    if (h[36]) {
      fprintf(stderr, "iblast: login failed class %d detail %d\n", h[36], h[37]);
      exit(1);
    }
    s->expstat = g32(h + 24) + 1;
    s->cmdsn = g32(h + 28);
    s->maxcmd = g32(h + 32);
    break;
  }
  for (char *k = kv; k < kv + kvn; k += strlen(k) + 1) {
    if (!strncmp(k, "MaxRecvDataSegmentLength=", 25))
      s->tmrdsl = atoi(k + 25);
    if (!strncmp(k, "FirstBurstLength=", 17))
      s->first = atoi(k + 17);
    if (!strncmp(k, "ImmediateData=", 14))
      s->imm = !strcmp(k + 14, "Yes");
  }
}
static void flushtx(struct sess *s) {
  if (s->txn) {
    sendall(s->fd, s->tx, s->txn);
    s->txn = 0;
  }
}
// senddata sends what is in tx and n bytes of data behind it, without a copy.
static void senddata(struct sess *s, u8 *data, size_t n) {
  struct iovec v[2] = {{s->tx, s->txn}, {data, n}};
  struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
  ssize_t r;
  while ((r = sendmsg(s->fd, &m, MSG_NOSIGNAL)) < 0)
    if (errno != EINTR)
      die("sendmsg");
  size_t k = r;
  if (k < s->txn) {
    sendall(s->fd, s->tx + k, s->txn - k);
    k = s->txn;
  }
  sendall(s->fd, data + (k - s->txn), n - (k - s->txn));
  s->txn = 0;
}
static int syncio(struct sess *s, u8 *cdb, int cl, u8 *buf,
                  u32 len) { // one read-direction command, synchronous; returns status
  u8 h[48] = {0};
  h[0] = 1;
  h[1] = 0x81 | (len ? 0x40 : 0);
  plun(h + 8);
  p32(h + 16, 0x2000);
  p32(h + 20, len);
  p32(h + 24, s->cmdsn++);
  p32(h + 28, s->expstat);
  memcpy(h + 32, cdb, cl);
  sendall(s->fd, h, 48);
  for (;;) {
    recvall(s->fd, h, 48);
    size_t dl = (g24(h + 5) + 3) & ~3;
    u8 t[65536];
    recvall(s->fd, t, dl);
    s->maxcmd = g32(h + 32);
    if (h[0] == 0x25) {
      u32 o = g32(h + 40);
      if (o + g24(h + 5) <= len)
        memcpy(buf + o, t, g24(h + 5));
      if (h[1] & 1) {
        s->expstat = g32(h + 24) + 1;
        return h[3];
      }
    } else if (h[0] == 0x21) {
      s->expstat = g32(h + 24) + 1;
      return h[3];
    } else {
      fprintf(stderr, "iblast: opcode %x\n", h[0]);
      exit(1);
    }
  }
}
static void sopen(struct sess *s, const char *host, int port, int id) {
  struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
  int one = 1;
  inet_pton(AF_INET, host, &sa.sin_addr);
  s->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(s->fd, (void *)&sa, sizeof sa))
    die("connect");
  setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, 4);
  s->cmdsn = 1;
  s->expstat = 0;
  s->tmrdsl = 8192;
  s->first = 65536;
  s->imm = 1;
  s->cur = -1;
  u8 isid[6] = {0x80, getpid() >> 8, getpid(), 0, id >> 8, id};
  char t[2048];
  size_t n =
      sprintf(t, "InitiatorName=iqn.2026-01.perf:iblast-%d%cSessionType=Normal%cTargetName=%s%cAuthMethod=None%c", id,
              0, 0, iqn, 0, 0);
  login(s, 0, 1, t, n, isid);
  n = sprintf(
      t,
      "HeaderDigest=None%cDataDigest=None%cInitialR2T=Yes%cImmediateData=Yes%cMaxBurstLength=1048576%cFirstBurstLength="
      "262144%cMaxRecvDataSegmentLength=262144%cMaxConnections=1%cMaxOutstandingR2T=1%cDefaultTime2Wait=2%"
      "cDefaultTime2Retain=0%cErrorRecoveryLevel=0%cDataPDUInOrder=Yes%cDataSequenceInOrder=Yes%c",
      0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  login(s, 1, 3, t, n, isid);
}
static void mkcap(struct sess *s) {
  for (int i = 0; i < 20; i++) {
    u8 c[16] = {0x9e, 0x10};
    u8 b[32] = {0};
    c[13] = 32;
    if (syncio(s, c, 16, b, 32) == 0) {
      cap = g64(b) + 1;
      blk = g32(b + 8);
      return;
    }
  }
  fprintf(stderr, "iblast: no capacity\n");
  exit(1);
}
static void stamp(u8 *b, u64 off, u32 len) {
  for (u32 i = 0; i < len; i += 512) {
    u64 v = (off + i) * 0x9E3779B97F4A7C15ull;
    for (int k = 0; k < 64; k++) {
      memcpy(b + i + k * 8, &v, 8);
      v = v * 6364136223846793005ull + 1442695040888963407ull;
    }
  }
}
static void dataout(struct sess *s, int tag, u32 ttt, u32 off, u32 len) {
  u32 sn = 0;
  while (len) {
    u32 n = len < s->tmrdsl ? len : s->tmrdsl;
    u8 *h = s->tx + s->txn;
    memset(h, 0, 48);
    h[0] = 5;
    h[1] = n == len ? 0x80 : 0;
    p24(h + 5, n);
    plun(h + 8);
    p32(h + 16, tag);
    p32(h + 20, ttt);
    p32(h + 28, s->expstat);
    p32(h + 36, sn++);
    p32(h + 40, off);
    s->txn += 48;
    if (n >= LARGE) {
      senddata(s, (fill ? s->s[tag].buf : wbuf) + off, n);
    } else {
      memcpy(h + 48, (fill ? s->s[tag].buf : wbuf) + off, n);
      s->txn += n;
    }
    off += n;
    len -= n;
    if (s->txn > (2 << 20))
      flushtx(s);
  }
}
static void issue(struct sess *s) {
  u64 t = 0;
  while (issuing && s->nfree && s->inflight < qd && (int32_t)(s->maxcmd - s->cmdsn) >= 0) {
    if (!t)
      t = now();
    int i = s->freel[--s->nfree];
    struct slot *l = &s->s[i];
    u64 nb = limitb / bs;
    if (fill) {
      if (fillpos >= limitb) {
        issuing = 0;
        s->freel[s->nfree++] = i;
        break;
      }
      l->off = fillpos;
      fillpos += bs;
    } else if (seqio) {
      l->off = (s->seq++ % nb) * bs;
    } else {
      rng ^= rng << 13;
      rng ^= rng >> 7;
      rng ^= rng << 17;
      l->off = (rng % nb) * bs;
    }
    l->len = bs;
    l->t = t;
    l->busy = 1;
    s->inflight++;
    u8 *h = s->tx + s->txn;
    memset(h, 0, 48);
    h[0] = 1;
    h[1] = 0x81 | (wr ? 0x20 : 0x40);
    plun(h + 8);
    p32(h + 16, i);
    p32(h + 20, bs);
    p32(h + 24, s->cmdsn++);
    p32(h + 28, s->expstat);
    h[32] = wr ? 0x8a : 0x88;
    p64(h + 34, l->off / blk);
    p32(h + 42, bs / blk);
    s->txn += 48;
    if (wr) {
      if (fill)
        stamp(l->buf, l->off, bs);
      u32 im = s->imm ? bs : 0;
      if (im > s->first)
        im = s->first;
      if (im > s->tmrdsl)
        im = s->tmrdsl;
      p24(h + 5, im);
      if (im >= LARGE) {
        senddata(s, fill ? l->buf : wbuf, im);
      } else {
        memcpy(s->tx + s->txn, fill ? l->buf : wbuf, im);
        s->txn += im;
      }
    }
    if (s->txn > (2 << 20))
      flushtx(s);
  }
}
static void finish(struct sess *s, int i, int st, u64 t) {
  struct slot *l = &s->s[i];
  if (!l->busy)
    return;
  l->busy = 0;
  s->inflight--;
  s->freel[s->nfree++] = i;
  if (st) {
    errs++;
    if (errs < 5)
      fprintf(stderr, "iblast: status %d\n", st);
  }
  if (verify && !wr && !st) {
    static u8 *e;
    if (!e)
      e = malloc(bs);
    stamp(e, l->off, bs);
    if (memcmp(e, l->buf, bs)) {
      verr++;
      if (verr < 4)
        fprintf(stderr, "iblast: MISMATCH at byte %lu\n", l->off);
    }
  }
  done_n++;
  s->done++;
  if (nl < latcap)
    lat[nl++] = t - l->t;
}
static void onhdr(struct sess *s, u64 t) {
  u8 *h = s->hdr;
  u32 dl = g24(h + 5);
  s->skip = (dl + 3) & ~3;
  s->cur = -1;
  s->fin = -1;
  u8 op = h[0] & 0x3f;
  u32 mc = g32(h + 32);
  if ((int32_t)(mc - s->maxcmd) > 0)
    s->maxcmd = mc;
  if (op == 0x25) {
    s->cur = g32(h + 16);
    s->dpos = g32(h + 40);
    if (h[1] & 1) {
      s->expstat = g32(h + 24) + 1;
      s->fin = h[3];
    }
  } else if (op == 0x21) {
    s->expstat = g32(h + 24) + 1;
    s->cur = g32(h + 16);
    s->fin = h[3] | (h[2] << 8);
  } else if (op == 0x31) {
    dataout(s, g32(h + 16), g32(h + 20), g32(h + 40), g32(h + 44));
  } else if (op == 0x20) {
    if (g32(h + 20) != 0xffffffff) {
      u8 *o = s->tx + s->txn;
      memset(o, 0, 48);
      o[0] = 0x40;
      o[1] = 0x80;
      memcpy(o + 8, h + 8, 8);
      p32(o + 16, 0xffffffff);
      memcpy(o + 20, h + 20, 4);
      p32(o + 24, s->cmdsn);
      p32(o + 28, s->expstat);
      s->txn += 48;
    }
  } else {
    fprintf(stderr, "iblast: unexpected opcode %x\n", op);
    exit(1);
  }
  if (s->cur >= MAXQ)
    s->cur = -1;
}
static void onrx(struct sess *s) {
  ssize_t r = recv(s->fd, s->rx, 1 << 20, 0);
  if (r <= 0) {
    fprintf(stderr, "iblast: connection lost (%zd)\n", r);
    exit(1);
  }
  u64 t = now();
  u8 *p = s->rx;
  size_t n = r;
  while (n || (s->have == 48 && !s->skip)) {
    if (s->have < 48) {
      size_t k = 48 - s->have;
      if (k > n)
        k = n;
      memcpy(s->hdr + s->have, p, k);
      s->have += k;
      p += k;
      n -= k;
      if (s->have < 48)
        break;
      onhdr(s, t);
    }
    if (s->skip) {
      size_t k = s->skip < n ? s->skip : n;
      if (verify && s->cur >= 0 && !wr && s->dpos + k <= bs + 3) {
        size_t c = s->dpos + k > bs ? bs - s->dpos : k;
        memcpy(s->s[s->cur].buf + s->dpos, p, c);
        s->dpos += k;
      }
      s->skip -= k;
      p += k;
      n -= k;
    }
    if (!s->skip && s->have == 48) {
      if (s->cur >= 0 && s->fin >= 0)
        finish(s, s->cur, s->fin, t);
      s->have = 0;
    } else if (!n)
      break;
  }
  issue(s);
  flushtx(s);
}
static double cpu(int pid) {
  char b[64], l[4096];
  if (!pid)
    return 0;
  sprintf(b, "/proc/%d/stat", pid);
  FILE *f = fopen(b, "r");
  if (!f)
    return 0;
  size_t n = fread(l, 1, sizeof l - 1, f);
  l[n] = 0;
  fclose(f);
  char *p = strrchr(l, ')') + 2;
  unsigned long u, v;
  sscanf(p, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &u, &v);
  return (u + v) / (double)sysconf(_SC_CLK_TCK);
}
static long rss(int pid) {
  char b[64], l[256];
  long k = 0;
  sprintf(b, "/proc/%d/status", pid);
  FILE *f = fopen(b, "r");
  if (!f)
    return 0;
  while (fgets(l, 256, f))
    if (!strncmp(l, "VmRSS:", 6))
      k = atol(l + 6);
  fclose(f);
  return k;
}
static int cmp(const void *a, const void *b) {
  u32 x = *(u32 *)a, y = *(u32 *)b;
  return x < y ? -1 : x > y;
}
int main(int ac, char **av) {
  int n = 1, c, pid = 0, idle = 0;
  double secs = 3;
  while ((c = getopt(ac, av, "n:q:b:wst:p:i:VFL:")) != -1)
    switch (c) {
    case 'n':
      n = atoi(optarg);
      break;
    case 'q':
      qd = atoi(optarg);
      break;
    case 'b':
      bs = atoi(optarg);
      break;
    case 'w':
      wr = 1;
      break;
    case 's':
      seqio = 1;
      break;
    case 't':
      secs = atof(optarg);
      break;
    case 'p':
      pid = atoi(optarg);
      break;
    case 'i':
      idle = atoi(optarg);
      break;
    case 'V':
      verify = 1;
      break;
    case 'F':
      fill = wr = 1;
      break;
    case 'L':
      limitb = strtoull(optarg, 0, 0);
      break;
    default:
      return 2;
    }
  if (ac - optind != 3) {
    fprintf(stderr, "usage: iblast [opts] HOST:PORT IQN LUN\n");
    return 2;
  }
  char host[64];
  snprintf(host, 64, "%s", av[optind]);
  char *cp = strchr(host, ':');
  int port = 3260;
  if (cp) {
    *cp = 0;
    port = atoi(cp + 1);
  }
  iqn = av[optind + 1];
  lun = atoi(av[optind + 2]);
  rng ^= now();
  wbuf = malloc(bs);
  for (u32 i = 0; i < bs; i++)
    wbuf[i] = rand();
  lat = malloc(latcap * 4);
  long r0 = pid ? rss(pid) : 0;
  struct sess *S = calloc(n, sizeof *S);
  for (int i = 0; i < n; i++) {
    sopen(&S[i], host, port, i);
  }
  if (idle) {
    mkcap(&S[0]);
    usleep(300000);
    long r1 = rss(pid);
    printf("sessions %d rss_before_kB %ld rss_after_kB %ld per_session_kB %.1f\n", n, r0, r1, (r1 - r0) / (double)n);
    double c0 = cpu(pid);
    sleep(idle);
    printf("idle_s %d idle_cpu_s %.2f\n", idle, cpu(pid) - c0);
    return 0;
  }
  for (int i = 0; i < n; i++) {
    struct sess *s = &S[i];
    mkcap(s);
    s->rx = malloc(1 << 20);
    s->tx = malloc((4 << 20) + qd * (size_t)(bs + 48));
    for (int k = 0; k < MAXQ && k < qd; k++) {
      s->freel[s->nfree++] = k;
      if (verify || fill)
        s->s[k].buf = malloc(bs + 4);
    }
    s->seq = i * (limitb / bs / n);
  }
  if (cap * blk < limitb)
    limitb = cap * blk;
  int ep = epoll_create1(0);
  for (int i = 0; i < n; i++) {
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = &S[i]};
    epoll_ctl(ep, EPOLL_CTL_ADD, S[i].fd, &e);
  }
  double c0 = cpu(pid);
  struct rusage u0, u1;
  getrusage(RUSAGE_SELF, &u0);
  u64 t0 = now(), end = t0 + secs * 1e9;
  int infl = 0;
  for (int i = 0; i < n; i++) {
    issue(&S[i]);
    flushtx(&S[i]);
  }
  for (;;) {
    u64 t = now();
    if (!fill && t >= end)
      issuing = 0;
    infl = 0;
    for (int i = 0; i < n; i++)
      infl += S[i].inflight;
    if (!infl)
      break;
    if (n == 1)
      onrx(S);
    else {
      struct epoll_event e[64];
      int k = epoll_wait(ep, e, 64, -1);
      for (int i = 0; i < k; i++)
        onrx(e[i].data.ptr);
    }
  }
  double el = (now() - t0) / 1e9;
  getrusage(RUSAGE_SELF, &u1);
  double cc = (u1.ru_utime.tv_sec - u0.ru_utime.tv_sec) + (u1.ru_stime.tv_sec - u0.ru_stime.tv_sec) +
              ((u1.ru_utime.tv_usec - u0.ru_utime.tv_usec) + (u1.ru_stime.tv_usec - u0.ru_stime.tv_usec)) / 1e6;
  double c1 = cpu(pid);
  u64 least = S[0].done;
  for (int i = 1; i < n; i++)
    if (S[i].done < least)
      least = S[i].done;
  qsort(lat, nl, 4, cmp);
  printf("iops %.0f MBps %.1f p50us %.1f p99us %.1f p999us %.1f tgtcpu_s_per_100k %.3f clicpu_s_per_100k %.3f rss_kB "
         "%ld errs %lu mismatch %lu slowest_of_mean %.2f\n",
         done_n / el, done_n * (double)bs / el / 1e6, lat[nl / 2] / 1e3, lat[(u64)(nl * .99)] / 1e3,
         lat[(u64)(nl * .999)] / 1e3, (c1 - c0) / done_n * 1e5, cc / done_n * 1e5, pid ? rss(pid) : 0, errs, verr,
         least * (double)n / done_n);
  return errs || verr ? 1 : 0;
}
