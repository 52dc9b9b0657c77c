{{/* What tells a release's dashboard from the others of a Grafana, which takes 40 characters. Takes (list $ name). */}}
{{- define "farmlokal.dashboard.uid" -}}
{{- $ := index . 0 -}}
farmlokal-{{ index . 1 }}-{{ printf "%s/%s" $.Release.Namespace (include "farmlokal.fullname" $) | sha256sum | trunc 10 }}
{{- end -}}

{{/* A dashboard of files/dashboards as Grafana's JSON. Takes (list $ name). */}}
{{- define "farmlokal.dashboard" -}}
{{- $ := index . 0 -}}
{{- $name := index . 1 -}}
{{- $parts := dict -}}
{{- $matchers := (fromYaml ($.Files.Get "files/dashboards/defaults.yaml")).matchers -}}
{{- range $part := list "defaults" $name -}}
  {{- $text := $.Files.Get (printf "files/dashboards/%s.yaml" $part) -}}
  {{- range $short, $long := $matchers -}}
    {{- $text = replace (printf "<%s>" $short) $long $text -}}
  {{- end -}}
  {{- $_ := set $parts $part (fromYaml $text) -}}
{{- end -}}
{{- $defaults := $parts.defaults -}}
{{- $source := index $parts $name -}}
{{- $panels := list -}}
{{- $id := 0 -}}
{{- $y := 0 -}}
{{- range $row := $source.rows -}}
  {{- $id = add1 $id -}}
  {{- $header := dict "id" $id "type" "row" "title" .title "collapsed" (default false .collapsed) -}}
  {{- $_ := set $header "gridPos" (dict "x" 0 "y" $y "w" 24 "h" 1) -}}
  {{- $y = add1 $y -}}
  {{- $top := $y -}}
  {{- $x := 0 -}}
  {{- $height := 0 -}}
  {{- $inside := list -}}
  {{- range .panels -}}
    {{- $size := .size | default (index $defaults.kinds (default "lines" .kind)).size -}}
    {{- $width := index $size 0 | int -}}
    {{- if gt (add $x $width | int) 24 -}}
      {{- $x = 0 -}}
      {{- $y = add $y $height -}}
    {{- end -}}
    {{- $height = index $size 1 | int -}}
    {{- $id = add1 $id -}}
    {{- $panel := include "farmlokal.dashboard.panel" (list $ $defaults .) | fromJson -}}
    {{- $_ := set $panel "id" $id -}}
    {{- $_ := set $panel "gridPos" (dict "x" $x "y" $y "w" $width "h" $height) -}}
    {{- $inside = append $inside $panel -}}
    {{- $x = add $x $width -}}
  {{- end -}}
  {{- /* A row that is folded up holds its panels, and takes no more than its own line. */ -}}
  {{- if .collapsed -}}
    {{- $panels = append $panels (set $header "panels" $inside) -}}
    {{- $y = $top -}}
  {{- else -}}
    {{- $panels = append $panels (set $header "panels" list) -}}
    {{- $panels = concat $panels $inside -}}
    {{- $y = add $y $height -}}
  {{- end -}}
{{- end -}}
{{- $fullname := include "farmlokal.fullname" $ -}}
{{- $runbooks := dict "type" "link" "title" "Runbooks" "url" (include "farmlokal.runbooks" $) "targetBlank" true "icon" "doc" -}}
{{- $dashboard := $defaults.dashboard -}}
{{- $_ := set $dashboard "uid" (include "farmlokal.dashboard.uid" .) -}}
{{- $_ := set $dashboard "title" (printf "%s (%s/%s)" $source.title $.Release.Namespace $fullname) -}}
{{- $_ := set $dashboard "description" $source.description -}}
{{- $_ := set $dashboard "links" (append $dashboard.links $runbooks) -}}
{{- $_ := set $dashboard "panels" $panels -}}
{{- /* The release's own series are chosen, others can be. */ -}}
{{- $chosen := dict "namespace" $.Release.Namespace "job" (include "farmlokal.job" .) -}}
{{- $variables := list (dict "name" "datasource" "label" "Data source" "type" "datasource" "query" "prometheus" "refresh" 1) -}}
{{- $narrowed := list -}}
{{- range list "cluster" "namespace" "job" "pod" -}}
  {{- $query := printf "label_values(%s{%s}, %s)" $source.series (join "," $narrowed) . | replace "{}" "" -}}
  {{- $variable := dict "name" . "label" (title .) "type" "query" "datasource" (dict "type" "prometheus" "uid" "${datasource}") -}}
  {{- $_ := set $variable "definition" $query -}}
  {{- $_ := set $variable "query" (dict "qryType" 1 "query" $query "refId" .) -}}
  {{- $variable = merge $variable (dict "refresh" 2 "sort" 1 "multi" true "includeAll" true) -}}
  {{- if eq . "cluster" -}}
    {{- /* Takes series without the label, too, as most have none. */ -}}
    {{- $_ := set $variable "allValue" ".*" -}}
  {{- end -}}
  {{- $own := get $chosen . -}}
  {{- $_ := set $variable "current" (dict "text" (list (default "All" $own)) "value" (list (default "$__all" $own))) -}}
  {{- $variables = append $variables $variable -}}
  {{- $narrowed = append $narrowed (printf "%s=~\"$%s\"" . .) -}}
{{- end -}}
{{- $_ := set $dashboard "templating" (dict "list" $variables) -}}
{{- toRawJson $dashboard -}}
{{- end -}}

{{/* One panel of it, without its place. Takes (list $ defaults panel). */}}
{{- define "farmlokal.dashboard.panel" -}}
{{- $ := index . 0 -}}
{{- $defaults := index . 1 -}}
{{- $source := index . 2 -}}
{{- $kind := index $defaults.kinds (default "lines" $source.kind) -}}
{{- $datasource := dict "type" "prometheus" "uid" "${datasource}" -}}
{{- $panel := deepCopy $kind.panel -}}
{{- $panel = merge $panel (dict "title" $source.title "description" $source.description "datasource" $datasource) -}}
{{- $steps := default (list (dict "color" "green" "value" nil)) $source.thresholds -}}
{{- $field := dict "unit" $source.unit "thresholds" (dict "mode" "absolute" "steps" $steps) -}}
{{- if $source.line -}}
  {{- $_ := set $field "custom" (dict "thresholdsStyle" (dict "mode" "line")) -}}
{{- end -}}
{{- $panel = mergeOverwrite $panel (dict "fieldConfig" (dict "defaults" $field)) (deepCopy (default dict $source.panel)) -}}
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
