{{/* What tells a release's dashboard from the others of a Grafana, which takes 40 characters. Takes (list $ name). */}}
{{- define "farmlokal.dashboard.uid" -}}
{{- $ := index . 0 -}}
farmlokal-{{ index . 1 }}-{{ printf "%s/%s" $.Release.Namespace (include "farmlokal.fullname" $) | sha256sum | trunc 10 }}
{{- end -}}

{{/* A dashboard of files/dashboards as Grafana's JSON. Takes (list $ name). */}}
{{- define "farmlokal.dashboard" -}}
{{- $ := index . 0 -}}
{{- $text := printf "%s\n%s" ($.Files.Get "files/dashboards/defaults.yaml") ($.Files.Get (printf "files/dashboards/%s.yaml" (index . 1))) -}}
{{- range $short, $long := (fromYaml $text).matchers -}}
  {{- $text = replace (printf "<%s>" $short) $long $text -}}
{{- end -}}
{{- $source := fromYaml $text -}}
{{- $panels := list -}}
{{- $id := 0 -}}
{{- $y := 0 -}}
{{- range $source.rows -}}
  {{- $id = add1 $id -}}
  {{- $place := dict "x" 0 "y" $y "w" 24 "h" 1 -}}
  {{- $header := dict "id" $id "type" "row" "title" .title "collapsed" (default false .collapsed) "panels" list "gridPos" $place -}}
  {{- $y = add1 $y -}}
  {{- $top := $y -}}
  {{- $x := 0 -}}
  {{- $height := 0 -}}
  {{- $inside := list -}}
  {{- range .panels -}}
    {{- $size := .size | default (get $source.kinds (default "lines" .kind)).size -}}
    {{- $width := index $size 0 | int -}}
    {{- if gt (add $x $width | int) 24 -}}
      {{- $x = 0 -}}
      {{- $y = add $y $height -}}
    {{- end -}}
    {{- $height = index $size 1 | int -}}
    {{- $id = add1 $id -}}
    {{- $place := dict "x" $x "y" $y "w" $width "h" $height -}}
    {{- $panel := include "farmlokal.dashboard.panel" (list $ $source .) | fromJson -}}
    {{- $inside = append $inside (merge $panel (dict "id" $id "gridPos" $place)) -}}
    {{- $x = add $x $width -}}
  {{- end -}}
  {{- /* A row that is folded up holds its panels, and takes no more than its own line. */ -}}
  {{- if .collapsed -}}
    {{- $panels = append $panels (set $header "panels" $inside) -}}
    {{- $y = $top -}}
  {{- else -}}
    {{- $panels = concat $panels (list $header) $inside -}}
    {{- $y = add $y $height -}}
  {{- end -}}
{{- end -}}
{{- /* The release's own series are chosen, others can be. */ -}}
{{- $chosen := dict "namespace" $.Release.Namespace "job" (include "farmlokal.job" .) -}}
{{- $variables := list $source.source -}}
{{- $narrowed := list -}}
{{- range list "cluster" "namespace" "job" "pod" -}}
  {{- $query := printf "label_values(%s{%s}, %s)" $source.series (join "," $narrowed) . | replace "{}" "" -}}
  {{- $own := get $chosen . -}}
  {{- $variable := dict "name" . "label" (title .) "definition" $query "query" (dict "qryType" 1 "query" $query "refId" .) -}}
  {{- $_ := set $variable "current" (dict "text" (list (default "All" $own)) "value" (list (default "$__all" $own))) -}}
  {{- if eq . "cluster" -}}
    {{- /* Takes series without the label, too, as most have none. */ -}}
    {{- $_ := set $variable "allValue" ".*" -}}
  {{- end -}}
  {{- $variables = append $variables (merge $variable $source.variable) -}}
  {{- $narrowed = append $narrowed (printf "%s=~\"$%s\"" . .) -}}
{{- end -}}
{{- $runbooks := dict "type" "link" "title" "Runbooks" "url" (include "farmlokal.runbooks" $) "targetBlank" true "icon" "doc" -}}
{{- $dashboard := dict
  "uid" (include "farmlokal.dashboard.uid" .)
  "title" (printf "%s (%s/%s)" $source.title $.Release.Namespace (include "farmlokal.fullname" $))
  "description" $source.description
  "links" (append $source.dashboard.links $runbooks)
  "panels" $panels
  "templating" (dict "list" $variables)
-}}
{{- toRawJson (merge $dashboard $source.dashboard) -}}
{{- end -}}

{{/* One panel of it, without its place. Takes (list $ dashboard panel). */}}
{{- define "farmlokal.dashboard.panel" -}}
{{- $ := index . 0 -}}
{{- $defaults := index . 1 -}}
{{- $source := index . 2 -}}
{{- $kind := get $defaults.kinds (default "lines" $source.kind) -}}
{{- $datasource := $defaults.variable.datasource -}}
{{- $steps := default (list (dict "color" "green" "value" nil)) $source.thresholds -}}
{{- $field := dict "unit" $source.unit "thresholds" (dict "mode" "absolute" "steps" $steps) -}}
{{- if $source.line -}}
  {{- $_ := set $field "custom" (dict "thresholdsStyle" (dict "mode" "line")) -}}
{{- end -}}
{{- $panel := dict "title" $source.title "description" $source.description "datasource" $datasource "fieldConfig" (dict "defaults" $field) -}}
{{- $panel = mergeOverwrite (deepCopy $kind.panel) $panel (deepCopy (default dict $source.panel)) -}}
{{- $overrides := default list $panel.fieldConfig.overrides -}}
{{- if eq $panel.type "timeseries" -}}
  {{- range $color, $names := $defaults.colors -}}
    {{- $shades := dict "id" "color" "value" (dict "mode" "shades" "fixedColor" $color) -}}
    {{- $overrides = append $overrides (dict "matcher" (dict "id" "byRegexp" "options" $names) "properties" (list $shades)) -}}
  {{- end -}}
{{- end -}}
{{- $targets := list -}}
{{- range $i, $query := $source.queries -}}
  {{- $letter := substr $i (int (add1 $i)) "ABCDEFGH" -}}
  {{- $target := dict "refId" $letter "datasource" $datasource "editorMode" "code" "expr" .expr "legendFormat" (default "" .legend) -}}
  {{- $targets = append $targets (merge $target $kind.query) -}}
  {{- $properties := list -}}
  {{- with .unit -}}
    {{- $properties = append $properties (dict "id" "unit" "value" .) -}}
    {{- if eq $panel.type "timeseries" -}}
      {{- $properties = append $properties (dict "id" "custom.axisPlacement" "value" "right") -}}
    {{- end -}}
  {{- end -}}
  {{- with .color -}}
    {{- $properties = append $properties (dict "id" "color" "value" (dict "mode" "shades" "fixedColor" .)) -}}
  {{- end -}}
  {{- with $properties -}}
    {{- $overrides = append $overrides (dict "matcher" (dict "id" "byFrameRefID" "options" $letter) "properties" .) -}}
  {{- end -}}
{{- end -}}
{{- if $source.runbooks -}}
  {{- /* A page's anchors are in lower case, which no query can make: a value mapping does. */ -}}
  {{- $anchors := dict -}}
  {{- range (fromYaml ($.Files.Get "files/alerts.yaml")).groups -}}
    {{- range .rules -}}
      {{- with .alert -}}{{- $_ := set $anchors . (dict "text" (lower .)) -}}{{- end -}}
    {{- end -}}
  {{- end -}}
  {{- $url := printf "%s#${__value.text}" (include "farmlokal.runbooks" $) -}}
  {{- $links := list (dict "title" "Runbook" "url" $url "targetBlank" true) -}}
  {{- $properties := list (dict "id" "mappings" "value" (list (dict "type" "value" "options" $anchors))) -}}
  {{- $properties = append $properties (dict "id" "links" "value" $links) -}}
  {{- $overrides = append $overrides (dict "matcher" (dict "id" "byName" "options" "runbook") "properties" $properties) -}}
{{- end -}}
{{- $_ := set $panel.fieldConfig "overrides" $overrides -}}
{{- $_ := set $panel "targets" $targets -}}
{{- toRawJson $panel -}}
{{- end -}}
