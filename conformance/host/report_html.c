/* SPDX-License-Identifier: BSD-3-Clause */
/* Reports as one HTML page: every requirement, with its verdict and the cases that speak for it. */
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "conformance/host/report_priv.h"
#include "conformance/host/spec.h"

/* Nothing is loaded from anywhere. Without scripts the page has everything but the filter. */
static const char head[] =
	"<!DOCTYPE html>\n"
	"<html lang=\"en\">\n"
	"<head>\n"
	"<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<title>Conformance report</title>\n"
	"<style>\n"
	":root{color-scheme:light dark;--pass:#137333;--fail:#c5221f;--skip:#7a6000;--none:#6b6f76;"
	"--line:#8884;--soft:#8881}\n"
	"@media(prefers-color-scheme:dark){:root{--pass:#81c995;--fail:#f28b82;--skip:#fdd663;"
	"--none:#9aa0a6}}\n"
	"*{box-sizing:border-box}\n"
	"body{font:15px/1.45 system-ui,sans-serif;max-width:68rem;margin:0 auto;padding:1rem}\n"
	"h1{font-size:1.4rem;margin:.2rem 0}h2{font-size:1.1rem;margin:1.6rem 0 .4rem}\n"
	".sum{display:flex;flex-wrap:wrap;gap:.6rem;margin:1rem 0}\n"
	".sum div{border:1px solid var(--line);border-radius:.5rem;padding:.4rem .8rem}\n"
	".sum b{display:block;font-size:1.3rem}\n"
	".pass b,.v.pass{color:var(--pass)}.fail b,.v.fail{color:var(--fail)}\n"
	".skip b,.v.skip{color:var(--skip)}.none b,.v.none{color:var(--none)}\n"
	"form{position:sticky;top:0;background:Canvas;padding:.6rem 0;display:flex;flex-wrap:wrap;"
	"gap:.6rem;z-index:1}\n"
	"input,select{font:inherit;padding:.3rem .5rem;max-width:100%}input{flex:1 1 12rem}\n"
	"details{border-top:1px solid var(--line);padding:.4rem 0}\n"
	"summary{cursor:pointer;display:grid;grid-template-columns:3.2rem 8rem 1fr "
	"5rem;gap:.5rem}\n"
	".v{font-weight:600}.id{font-family:ui-monospace,monospace;overflow-wrap:anywhere}\n"
	".t{text-align:right;color:var(--none)}\n"
	".src,.why{color:var(--none);margin:.3rem 0}\n"
	"table{border-collapse:collapse;width:100%;font-size:.9em;background:var(--soft)}\n"
	"td{padding:.15rem .5rem;vertical-align:top;overflow-wrap:anywhere}\n"
	"td:first-child{width:3.2rem}td:last-child{width:5rem;text-align:right}\n"
	"@media(max-width:40rem){summary{grid-template-columns:3.2rem 1fr 4.5rem}"
	"summary "
	".x{grid-column:1/"
	"-1}.t{grid-row:1;grid-column:3}td{display:block;width:auto!important;text-align:left!"
	"important}"
	"tr{display:block;padding:.3rem 0;border-top:1px solid var(--line)}}\n"
	"[hidden]{display:none}\n"
	"</style>\n"
	"</head>\n"
	"<body>\n";

static const char filter[] =
	"<form onsubmit=\"return false\">\n"
	"<input id=\"q\" type=\"search\" placeholder=\"ID, text or case\" aria-label=\"Search\">\n"
	"<select id=\"s\" aria-label=\"Verdict\">\n"
	"<option value=\"judged\">judged</option>\n"
	"<option value=\"\">everything</option>\n"
	"<option value=\"fail\">failed</option>\n"
	"<option value=\"pass\">passed</option>\n"
	"<option value=\"skip\">skipped</option>\n"
	"<option value=\"none\">not judged</option>\n"
	"</select>\n"
	"</form>\n";

static const char script[] =
	"<script>\n"
	"const q=document.getElementById('q'),s=document.getElementById('s');\n"
	"const rows=[...document.querySelectorAll('details')].map(e=>"
	"[e,e.textContent.toLowerCase(),e.className]);\n"
	"function show(){const w=q.value.toLowerCase();for(const[e,t,c]of rows)"
	"e.hidden=(w&&!t.includes(w))||(s.value==='judged'?c==='none':s.value&&c!==s.value);"
	"for(const h of document.querySelectorAll('section'))"
	"h.hidden=!h.querySelector('details:not([hidden])')}\n"
	"q.oninput=s.onchange=show;\n"
	"show();\n"
	"</script>\n";

static const char *verdict_class(const struct report_requirement *q)
{
	return report_judged(q) ? report_verdict_name(report_requirement_verdict(q)) : "none";
}

static void write_time(uint64_t ns, FILE *f)
{
	if (ns < 1000000000)
		fprintf(f, "%.1f ms", (double)ns / 1e6);
	else
		fprintf(f, "%.1f s", (double)ns / 1e9);
}

static bool claims(const struct report_result *v, const char *wanted)
{
	const char *proves = v->proves;
	char id[32];

	while (report_next_id(&proves, id))
		if (!strcmp(id, wanted))
			return true;
	return false;
}

static void write_case(const struct report_result *v, FILE *f)
{
	const char *verdict = report_verdict_name(v->verdict);

	fprintf(f, "<tr><td class=\"v %s\">%s</td><td>", verdict, verdict);
	report_write_escaped(v->target, f);
	fputs(": ", f);
	report_write_escaped(v->name, f);
	if (v->rings != REPORT_NO_RINGS)
		fprintf(f, " [%s]", report_rings_name(v->rings));
	fputs("</td><td>", f);
	report_write_escaped(v->evidence, f);
	fputs("</td><td>", f);
	write_time(v->ns, f);
	fputs("</td></tr>\n", f);
}

/* What failed first. */
static void write_cases(const struct report *r, const char *id, FILE *f)
{
	static const enum cf_verdict order[] = { CF_FAIL, CF_PASS, CF_SKIP };

	fputs("<table>\n", f);
	for (unsigned o = 0; o < ARRAY_LEN(order); o++)
		for (unsigned i = 0; i < r->n; i++)
			if (r->v[i].verdict == order[o] && claims(&r->v[i], id))
				write_case(&r->v[i], f);
	fputs("</table>\n", f);
}

/* What speaks for a requirement that no case of this run claims. */
static void write_unjudged(const struct spec_entry *entry, FILE *f)
{
	fputs("<p class=\"why\">", f);
	if (*entry->why)
		report_write_escaped(entry->why, f);
	else if (*entry->tests)
		fputs("Proved by tests of the build: ", f);
	else
		fputs("No case of this run claims it.", f);
	if (!*entry->why)
		report_write_escaped(entry->tests, f);
	fputs("</p>\n", f);
}

static void write_requirement(const struct report *r, const struct report_requirement *q, FILE *f)
{
	const struct spec_entry *entry = q->entry;
	const char *class = verdict_class(q);

	fprintf(f,
		"<details class=\"%s\"><summary><span class=\"v %s\">%s</span><span class=\"id\">",
		class, class, report_judged(q) ? class : "&ndash;");
	report_write_escaped(entry->id, f);
	fputs("</span><span class=\"x\">", f);
	report_write_escaped(entry->text, f);
	fputs("</span><span class=\"t\">", f);
	if (report_judged(q))
		write_time(q->ns, f);
	fputs("</span></summary>\n<p class=\"src\">", f);
	report_write_escaped(entry->source, f);
	fputs(" &middot; binds the ", f);
	report_write_escaped(entry->binds, f);
	fprintf(f, "</p>\n");
	if (report_judged(q))
		write_cases(r, entry->id, f);
	else
		write_unjudged(entry, f);
	fputs("</details>\n", f);
}

static void write_box(const char *class, unsigned n, const char *what, FILE *f)
{
	fprintf(f, "<div class=\"%s\"><b>%u</b>%s</div>\n", class, n, what);
}

static void write_summary(const struct report *r, const struct report_requirement *all, FILE *f)
{
	struct report_counts cases = report_count(r), c = { .n = { 0 } };
	time_t now = time(NULL);
	char day[32] = "";
	struct tm tm;

	for (unsigned i = 0; i < spec_count; i++)
		if (report_judged(&all[i]))
			c.n[report_requirement_verdict(&all[i])]++;
	if (gmtime_r(&now, &tm))
		strftime(day, sizeof(day), "%Y-%m-%d %H:%M UTC", &tm);
	fprintf(f,
		"<h1>Conformance report</h1>\n<p>%s &middot; avp %s &middot; %u cases: %u passed, "
		"%u failed, %u skipped in %.1f s</p>\n<div class=\"sum\">\n",
		day, AVP_VERSION, r->n, cases.n[CF_PASS], cases.n[CF_FAIL], cases.n[CF_SKIP],
		(double)r->ns / 1e9);
	write_box("fail", c.n[CF_FAIL], "requirements failed", f);
	write_box("pass", c.n[CF_PASS], "passed", f);
	write_box("skip", c.n[CF_SKIP], "skipped", f);
	write_box("none", spec_count - c.n[CF_PASS] - c.n[CF_FAIL] - c.n[CF_SKIP], "not judged", f);
	fputs("</div>\n", f);
}

/* Verdicts that no requirement shows: of cases that claim nothing, and of runs that broke off. */
static void write_unclaimed(const struct report *r, FILE *f)
{
	bool any = false;

	for (unsigned i = 0; i < r->n; i++) {
		if (r->v[i].proves[strspn(r->v[i].proves, " ")])
			continue;
		if (!any)
			fputs("<h2>Without a requirement</h2>\n<table>\n", f);
		any = true;
		write_case(&r->v[i], f);
	}
	if (any)
		fputs("</table>\n", f);
}

void report_write_html(const struct report *r, FILE *f)
{
	autofree struct report_requirement *all = report_requirements(r);
	const char *area = "";

	fputs(head, f);
	if (!all) {
		fputs("<p>There was no memory for this report.</p></body></html>\n", f);
		return;
	}
	write_summary(r, all, f);
	write_unclaimed(r, f);
	fputs(filter, f);
	for (unsigned i = 0; i < spec_count; i++) {
		if (strcmp(area, all[i].entry->area) != 0) {
			fputs(i ? "</section>\n<section>\n<h2>" : "<section>\n<h2>", f);
			area = all[i].entry->area;
			report_write_escaped(area, f);
			fputs("</h2>\n", f);
		}
		write_requirement(r, &all[i], f);
	}
	fputs(spec_count ? "</section>\n" : "", f);
	fputs(script, f);
	fputs("</body>\n</html>\n", f);
}
